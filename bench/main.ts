// `npm run bench -- QUESTION`: one benchmark a question; prints what it measured and on what.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { measureHistory, renderHistory } from './history.ts';

const USAGE = `npm run bench -- history [--turns 100] [--json]

history   events and protobuf bytes of each turn of one run (one model call, one keyed effect, 2 KiB a result);
          exits 1 when a turn needs more than 12 events or 3 KiB`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    turns: { type: 'string', default: '100' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const turns = Number(options.turns);
  if (options.help || positionals[0] !== 'history' || !Number.isInteger(turns) || turns < 2) {
    process.stderr.write(`${USAGE}\n`);
    return options.help ? 0 : 2;
  }
  const report = await measureHistory(turns);
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    node: process.version,
  };
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ question: 'history', machine, ...report })}\n`
      : `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}\n${renderHistory(report)}\n`,
  );
  return report.violations.length === 0 ? 0 : 1;
}

// The ephemeral servers live as long as this process: it ends itself.
process.exit(await main());
