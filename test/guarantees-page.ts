// The manifest as a page of Markdown; a test holds docs/guarantees.md to it.
import { guarantees } from './guarantees.ts';

/** The text of docs/guarantees.md. */
export function toMarkdown(): string {
  const rows = Object.entries(guarantees).map(([id, sentence]) => `| \`${id}\` | ${sentence} |`);
  return [
    '# What Pawl guarantees',
    '',
    'Each line is proven by at least one test that carries its id: `npm test -- -t F-01` runs those of one.',
    'Generated from `test/guarantees.ts` by `npm run docs:guarantees`; edit it there. The limits are in [effects.md](effects.md).',
    '',
    '| id | guarantee |',
    '|---|---|',
    ...rows,
    '',
  ].join('\n');
}
