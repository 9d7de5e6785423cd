// What one run asks of PostgreSQL and commits there, untimed: with a worker of its own that has stopped before it is read.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { withCleanUps } from '../../testing/clean-ups.ts';
import { type Commits, countCommits } from '../safety/commits.ts';
import { type Contender, type Job, Variable } from './contenders.ts';
import type { Statements } from './count-statements.ts';
import { openDoor } from './doors.ts';
import type { Site } from './site.ts';

/** Start and end of the run and of its worker are in it, too. */
export interface CountedRun {
  readonly job: Job;
  readonly commits: Commits;
  readonly statements: Statements;
}

/** Nobody else may be connected to the contender's database. */
export async function countRun(
  site: Site,
  contender: Contender,
  turns: number,
): Promise<CountedRun> {
  const databaseUrl = site.databaseUrlOf(contender);
  if (databaseUrl === undefined) throw new Error(`${contender} commits nothing to PostgreSQL`);
  const job = { run: `${contender}-${ulid()}`, turns };
  const file = join(site.folder, `${contender}-statements.json`);
  const commits = await countCommits(databaseUrl, () =>
    withCleanUps(async (cleanUps) => {
      const started = await site.startWorker(contender, { [Variable.Statements]: file });
      cleanUps.add(() => started.worker.stop());
      const door = await openDoor(contender, site, started, cleanUps);
      await door.run(job);
    }),
  );
  return { job, commits, statements: JSON.parse(readFileSync(file, 'utf8')) as Statements };
}
