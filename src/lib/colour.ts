/** ECMA-48, Select Graphic Rendition. */
const SGR = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

export type Colour = keyof typeof SGR;

/** Text in a colour, or as it is where there is none to be shown. */
export function paint(
  { hasColour }: { readonly hasColour: boolean },
  colour: Colour,
  text: string,
): string {
  return hasColour ? `\u001B[${SGR[colour]}m${text}\u001B[0m` : text;
}
