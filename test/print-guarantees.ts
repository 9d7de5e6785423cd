// Prints the manifest as docs/guarantees.md: `npm run docs:guarantees`.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toMarkdown } from './guarantees-page.ts';

writeFileSync(fileURLToPath(new URL('../docs/guarantees.md', import.meta.url)), toMarkdown());
