import { RefusedError } from '../errors.ts';

/** A row as it was read: texts, numbers, bytes and nulls, by the name of their column. */
export type Row = Readonly<Record<string, unknown>>;
export type Value = string | number | null | Uint8Array;
/** What stands for the `:names` of a text; values never stand in the text itself. */
export type Values = Readonly<Record<string, Value>>;

export type Statement = { readonly text: string; readonly values: Values };
export type Answer = { readonly rows: readonly Row[]; readonly changed: number };

/**
 * Store code, written once for every database: a generator that yields statements, several at a
 * time where one does not need the other's answer, and is given their answers. Whoever drives it
 * decides whether that happens at once (SQLite) or over a connection (PostgreSQL). It may be run
 * again from its start, so it changes nothing but through its statements and its transaction.
 */
export type Work<T> = Generator<readonly Statement[], T, readonly Answer[]>;

const NOTHING: Answer = { rows: [], changed: 0 };

/** Changes rows, and says how many. */
export function* run(text: string, values: Values = {}): Work<number> {
  const [answer = NOTHING] = yield [{ text, values }];
  return answer.changed;
}

/** The first row, if there is one. */
export function* one(text: string, values: Values = {}): Work<Row | undefined> {
  const [answer = NOTHING] = yield [{ text, values }];
  return answer.rows[0];
}

/** All rows; the text bounds how many. */
export function* all(text: string, values: Values = {}): Work<readonly Row[]> {
  const [answer = NOTHING] = yield [{ text, values }];
  return answer.rows;
}

/** Several statements on one way to the database and back, in their order. */
export function* together(...statements: readonly Statement[]): Work<readonly Answer[]> {
  return yield statements;
}

type Results<T extends readonly Work<unknown>[]> = {
  readonly [at in keyof T]: T[at] extends Work<infer Result> ? Result : never;
};

/**
 * Several works side by side: what they ask at the same time goes to the database together, in
 * their order. For works of which none needs what another changes.
 */
export function* abreast<T extends readonly Work<unknown>[]>(...works: T): Work<Results<T>> {
  let steps = works.map((work) => work.next());
  for (;;) {
    const open = steps.map((step) => (step.done === true ? [] : step.value));
    const statements = open.flat();
    if (steps.every(({ done }) => done === true)) break;
    const answers = yield statements;
    let at = 0;
    steps = steps.map((step, index) => {
      if (step.done === true) return step;
      const count = open[index]?.length ?? 0;
      at += count;
      return (works[index] as Work<unknown>).next(answers.slice(at - count, at));
    });
  }
  return steps.map(({ value }) => value) as unknown as Results<T>;
}

/** Changes that look at none of their answers, all of them on one way to the database. */
export function* unheard(...works: readonly Work<void>[]): Work<void> {
  const statements: Statement[] = [];
  for (const work of works) {
    for (let step = work.next(); step.done !== true; step = work.next([])) {
      statements.push(...step.value);
    }
  }
  if (statements.length > 0) yield statements;
}

/** Runs work to its end at once, for a database that answers at once. */
export function drive<T>(work: Work<T>, answer: (statement: Statement) => Answer): T {
  let step = work.next();
  while (step.done !== true) {
    const statements = step.value;
    let answers: Answer[];
    try {
      answers = statements.map((statement) => answer(statement));
    } catch (error) {
      step = work.throw(error);
      continue;
    }
    step = work.next(answers);
  }
  return step.value;
}

/** As `drive`, for a database that is asked over a connection. */
export async function driveAsync<T>(
  work: Work<T>,
  answer: (statements: readonly Statement[]) => Promise<readonly Answer[]>,
): Promise<T> {
  let step = work.next();
  while (step.done !== true) {
    let answers: readonly Answer[];
    try {
      answers = await answer(step.value);
    } catch (error) {
      step = work.throw(error);
      continue;
    }
    step = work.next(answers);
  }
  return step.value;
}

/** Refuses what PostgreSQL can't keep in a text, for both databases alike. */
export function checkValues(values: Values): void {
  for (const value of Object.values(values)) {
    if (typeof value !== 'string' || !value.includes('\0')) continue;
    throw new RefusedError('BODY_MALFORMED', 'A text holds the character NUL; leave it out.');
  }
}
