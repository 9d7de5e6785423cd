// A floor as a process: the loop itself, with one commit a step when a database is named; takes runs over HTTP, prints `ready`.
import { createServer } from 'node:http';
import { type Job, readVariable, Variable } from './contenders.ts';
import { countStatements } from './count-statements.ts';
import { callOf, checkCall, firstMessage, type Message, resultMessage } from './messages.ts';
import { createSteps } from './steps.ts';
import { openTranscriptTable, type TranscriptTable } from './transcript-table.ts';

countStatements();
const steps = createSteps();
const transcript = process.env['DATABASE_URL'] ? openTranscriptTable() : undefined;

async function runLoop(job: Job, table: TranscriptTable | undefined): Promise<number> {
  const messages: Message[] = [firstMessage(job)];
  const keep = async (message: Message): Promise<void> => {
    await table?.store(job.run, messages.length, message);
    messages.push(message);
  };
  for (let turn = 1; ; turn += 1) {
    const answer = await steps.ask(messages);
    await keep(answer);
    const call = callOf(answer);
    if (!call) return turn - 1;
    checkCall(call, job, turn);
    await keep(resultMessage(call, await steps.transfer(call.reference)));
  }
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const job = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Job;
    runLoop(job, transcript).then(
      (turns) => response.end(JSON.stringify({ turns })),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
});
// The other contenders' rounds are longer than Node keeps an idle connection, and whoever asks on one that is being closed
// is not answered.
server.keepAliveTimeout = 0;
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  void transcript?.close();
});
server.listen(Number(readVariable(Variable.Port)), '127.0.0.1', () => {
  process.stdout.write('ready\n');
});
