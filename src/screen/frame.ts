import { GiB } from '../lib/units.ts';
import { SHORT_ID_DIGITS } from './address.ts';
import { encodeQr } from './qr.ts';
import {
  COLUMNS,
  type Frame,
  ROWS,
  type ScreenState,
  type Span,
  type Tone,
  type Use,
} from './spec.ts';

const LABEL_COLUMNS = 11;
const BAR_COLUMNS = 12;
const LINES_SHOWN = 9;
/** What is light around a code, on each side (ISO/IEC 18004 asks for four, readers for less). */
const QUIET_MODULES = 2;

/** The whole screen of a state: pure, and the same for the same state. */
export function frameOf(state: ScreenState): Frame {
  const code = state.approvalUrl === undefined ? [] : codeRows(state.approvalUrl);
  const codeColumns = code[0]?.length ?? 0;
  const body = ROWS - 3;
  const widthOf = (row: number): number => COLUMNS - 2 - (row < code.length ? codeColumns + 2 : 0);
  const rows = contentOf(state, widthOf, body);
  return [
    titleOf(state),
    [],
    ...Array.from({ length: body }, (_, row): Span[] => {
      const left = [{ text: ' ' }, ...(rows[row] ?? [])];
      const line = code[row];
      if (line === undefined) return left;
      return [...fill(left, COLUMNS - codeColumns - 1), { text: line, tone: 'code' }];
    }),
    [{ text: ' This screen only shows: no keyboard, no login.', tone: 'label' as const }],
  ].map((line) => fill(line, COLUMNS));
}

/** The frame as plain text, without spaces at the ends of lines. */
export function textOf(frame: Frame): string {
  return frame.map((line) => lineText(line).trimEnd()).join('\n');
}

function lineText(line: readonly Span[]): string {
  return line.map(({ text }) => text).join('');
}

function fill(line: readonly Span[], columns: number): Span[] {
  const kept: Span[] = [];
  let room = columns;
  for (const span of line) {
    const text = span.text.slice(0, room);
    if (text !== '') kept.push({ ...span, text });
    room -= text.length;
  }
  const last = line[0]?.tone === 'title' ? { tone: 'title' as const } : {};
  return room > 0 ? [...kept, { text: ' '.repeat(room), ...last }] : kept;
}

function titleOf({ release = 'Zero-OS', uptimeMs, nowMs }: ScreenState): Span[] {
  const clock = `${new Date(nowMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const right = `up ${ageOf(uptimeMs)}   ${clock} `;
  const left = ` ${shown(release)}`.slice(0, COLUMNS - right.length - 1);
  return [{ text: left.padEnd(COLUMNS - right.length) + right, tone: 'title' }];
}

type Row = readonly Span[];

/** What is said of a subject, broken into as many rows as it takes, three at most. */
type Entry = { readonly label: string; readonly text: string; readonly tone?: Tone };

/** Row by row from the top; what is not seen for want of room are the oldest lines. */
function contentOf(state: ScreenState, widthOf: (row: number) => number, rowsMax: number): Row[] {
  const rows: Row[] = [];
  const add = (entry: Entry, rowsOfIt = 3): void => {
    rows.push(...wrapped(entry, (row) => widthOf(rows.length + row), rowsOfIt));
  };
  const gap = (): void => {
    if (rows.at(-1)?.length !== 0) rows.push([]);
  };
  const head = headOf(state);
  rows.push([{ text: head.text, tone: head.tone }], []);
  for (const entry of selfOf(state)) add(entry);
  const room = roomOf(state);
  if (room.length > 0) gap();
  rows.push(...room);
  const news = newsOf(state);
  if (news.length > 0) gap();
  for (const entry of news) add(entry);
  const left = Math.min(rowsMax - rows.length - 2, LINES_SHOWN);
  if (left < 1 || state.lines.length === 0) return rows.slice(0, rowsMax);
  gap();
  for (const { text, atMs } of state.lines.slice(-left)) {
    const at = `${(atMs / 1000).toFixed(1).padStart(LABEL_COLUMNS - 4)} s`;
    add({ label: at, text }, 1);
  }
  return rows.slice(0, rowsMax);
}

/** What this machine is at, in a few words. */
function headOf(state: ScreenState): { readonly text: string; readonly tone: Tone } {
  const { node, farm, waiting, failure } = state;
  const isUnapproved = isWaitedFor(state, 'approval');
  if (isUnapproved) return { text: 'WAITS FOR ITS FARMER', tone: 'wait' };
  if (state.troubles?.length) return { text: 'IN TROUBLE', tone: 'bad' };
  if (farm !== undefined && isOnline(state)) return { text: 'READY', tone: 'good' };
  if (farm !== undefined) return { text: 'RUNS ON ITS OWN: NO DIRECTORY', tone: 'wait' };
  if (waiting.length > 0) return { text: 'WAITS', tone: 'wait' };
  if (failure !== null) return { text: 'TRIES AGAIN', tone: 'bad' };
  return { text: node === undefined ? 'BOOTS' : 'STARTS', tone: 'strong' };
}

/** Whether the directory answers: it took this node in, or said that it has to wait. */
function isOnline(state: ScreenState): boolean {
  const isKnown = state.farm !== undefined || isWaitedFor(state, 'approval');
  return isKnown && !isWaitedFor(state, 'directory');
}

function isWaitedFor({ waiting }: ScreenState, wanted: string): boolean {
  return waiting.some(({ key }) => key === wanted);
}

/** Who and where this node is. */
function selfOf(state: ScreenState): Entry[] {
  const { node, farm, directoryUrl, addresses, isClockSynced } = state;
  const entries: (Entry | false)[] = [
    node !== undefined && { label: 'node', text: node },
    farm !== undefined && { label: 'farm', text: farm.slice(0, SHORT_ID_DIGITS) },
    state.class !== undefined && classEntry(state.class),
    addresses.length > 0 && { label: 'address', text: addresses.slice(0, 4).join(' ') },
    directoryUrl !== undefined && {
      label: 'directory',
      text: `${directoryUrl} ${isOnline(state) ? 'connected' : 'not connected'}`,
    },
    node !== undefined && {
      label: 'clock',
      text: isClockSynced === true ? 'right, by the directory' : 'not known to be right',
    },
  ];
  return entries.filter((entry) => entry !== false);
}

function classEntry({ name, because }: NonNullable<ScreenState['class']>): Entry {
  return { label: 'class', text: because === '' ? name : `${name}: ${because}` };
}

/** What it has, and how much of that is taken. */
function roomOf(state: ScreenState): Row[] {
  const { cores, memoryBytes, ssdBytes, hddBytes, workloads } = state;
  const rows: Row[] = [];
  const bar = (label: string, use: Use | undefined, say: (use: Use) => string): void => {
    if (use === undefined || use.total === 0) return;
    const share = Math.min(1, Math.max(0, use.used / use.total));
    const full = Math.ceil(share * BAR_COLUMNS);
    rows.push([
      { text: label.padEnd(LABEL_COLUMNS), tone: 'label' },
      { text: '█'.repeat(full), tone: share < 0.9 ? 'good' : 'wait' },
      { text: '░'.repeat(BAR_COLUMNS - full), tone: 'label' },
      { text: `  ${say(use)}` },
    ]);
  };
  const bytes = ({ used, total }: Use): string => {
    const [unit, name] = total < 1024 * GiB ? [GiB, 'GiB'] : [1024 * GiB, 'TiB'];
    return `${trimmed(used / unit)} of ${trimmed(total / unit)} ${name}`;
  };
  bar('processor', cores, ({ used, total }) => `${trimmed(used)} of ${trimmed(total)} cores`);
  bar('memory', memoryBytes, bytes);
  bar('SSD', ssdBytes, bytes);
  bar('HDD', hddBytes, bytes);
  if (workloads === undefined) return rows;
  const { running, waiting, failed } = workloads;
  const counts = [`${running} running`, `${waiting} waiting`, `${failed} failed`];
  const tone = failed > 0 ? { tone: 'bad' as const } : {};
  const label = { text: 'workloads'.padEnd(LABEL_COLUMNS), tone: 'label' as const };
  return [...rows, [label, { text: counts.join(', '), ...tone }]];
}

/** What is wanting and what went wrong. */
function newsOf(state: ScreenState): Entry[] {
  const { waiting, failure, uptimeMs, troubles = [], node } = state;
  const wants = waiting.slice(0, 3).flatMap(({ key, what, sinceMs }): Entry[] => {
    const text = `${what}, ${ageOf(Math.max(0, uptimeMs - sinceMs))}`;
    const entry: Entry = { label: 'waits for', text, tone: 'wait' };
    if (key !== 'approval' || node === undefined) return [entry];
    return [entry, { label: 'approve', text: approveWord(node), tone: 'strong' }];
  });
  const wrongs = troubles
    .slice(0, 3)
    .map((text): Entry => ({ label: 'trouble', text, tone: 'bad' }));
  if (failure === null) return [...wrongs, ...wants];
  const ago = ageOf(Math.max(0, uptimeMs - failure.atMs));
  const text = `${failure.sentence} (${ago} ago)`;
  return [...wrongs, ...wants, { label: 'last error', text, tone: 'bad' }];
}

/** The command by which a farmer takes a node in. */
function approveWord(node: string): string {
  return `zos farm approve ${node.slice(0, SHORT_ID_DIGITS)}`;
}

/** A label and a text of several rows, each as wide as there is room; at words, where it can. */
function wrapped(entry: Entry, widthOf: (row: number) => number, rowsMax: number): Row[] {
  const { label, tone } = entry;
  const rows: Row[] = [];
  let rest = shown(entry.text);
  while (rows.length < rowsMax && (rest !== '' || rows.length === 0)) {
    const room = Math.max(8, widthOf(rows.length) - LABEL_COLUMNS);
    const isLast = rows.length === rowsMax - 1;
    const [text, after] = isLast ? [clipped(rest, room), ''] : broken(rest, room);
    const head = (rows.length === 0 ? label : '').padEnd(LABEL_COLUMNS);
    rows.push([{ text: head, tone: 'label' }, tone === undefined ? { text } : { text, tone }]);
    rest = after;
  }
  return rows;
}

function broken(text: string, room: number): readonly [string, string] {
  if (text.length <= room) return [text, ''];
  const at = text.lastIndexOf(' ', room);
  const end = at > room / 3 ? at : room;
  return [text.slice(0, end).trimEnd(), text.slice(end).trimStart()];
}

function clipped(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 3)}...`;
}

/** Only what the console's font has: whatever came from a network stays on its row. */
function shown(text: string): string {
  const plain = text.replaceAll(/[‘’]/gu, "'").replaceAll(/[“”]/gu, '"');
  return plain.replaceAll(/[^\u{20}-\u{7e}]/gu, '?');
}

function trimmed(value: number): string {
  return value.toFixed(value < 10 ? 2 : 0).replace(/\.0*$|(\.\d*[1-9])0+$/u, '$1');
}

/** In minutes at least: a screen that changes every second tells nothing by that. */
function upFor(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** Seconds count at first, then minutes. */
function ageOf(ms: number): string {
  return ms < 60_000 ? `${Math.floor(ms / 1000)} s` : upFor(ms);
}

/** The code of an address, two modules to a character: light is drawn, dark is the background. */
function codeRows(url: string): string[] {
  const code = encodeQr(url);
  if (code === undefined) return [];
  const isLight = (row: number, column: number): boolean => {
    const size = code.length + QUIET_MODULES;
    const isInside =
      row < size && column < size && row >= -QUIET_MODULES && column >= -QUIET_MODULES;
    return isInside && code[row]?.[column] !== true;
  };
  const columns = code.length + 2 * QUIET_MODULES;
  return Array.from({ length: Math.ceil(columns / 2) }, (_, line) =>
    Array.from({ length: columns }, (__, at) => {
      const [row, column] = [line * 2 - QUIET_MODULES, at - QUIET_MODULES];
      const pair = `${isLight(row, column) ? 1 : 0}${isLight(row + 1, column) ? 1 : 0}`;
      return { '11': '█', '10': '▀', '01': '▄', '00': ' ' }[pair] ?? ' ';
    }).join(''),
  );
}
