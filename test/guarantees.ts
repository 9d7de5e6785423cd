// The product in one file: each id is a behaviour that Pawl promises, and some test cites it (`guarantee(id, …)`).

/** Ids like `F-01` and `S2-07` are of the requirements; `law-…` are the laws of an effect (ARCHITECTURE.md). */
export const guarantees = {
  // Effects, when processes die and answers are lost.
  'F-01':
    'The receiver commits, then the worker is killed before it records that: the next worker sends byte-equal key and body, and one effect exists.',
  'F-02':
    'The retry comes when the receiver has forgotten the key: nothing is sent again before the receiver was asked by the business reference; found is recorded, absent is sent, and a receiver that cannot be asked leaves a doubt.',
  'F-03':
    'A model asked again after a crash cannot change what is sent: the arguments are those that were stored; a receiver that reports another body under the key stops the effect and a human is asked.',
  'F-04':
    'An attempt times out after the receiver has committed and the retry runs while the first is in flight: one effect, and the workflow gets the original receipt.',
  'F-05':
    'An effect on a receiver with neither key nor probe is sent at most once: an unknown outcome is in doubt and goes to a human, never to a retry.',
  'F-20b': 'A finished run that is replayed makes no request.',
  'F-31':
    'A worker that dies after tool call k of 12 costs nothing before it: the next one goes on at k + 1.',
  'S2-01':
    'A retry does not re-issue what was done: both attempts carry one key, the receiver holds one receipt, the workflow gets the first one.',
  'S2-02':
    'Clean in staging proves nothing: every contract meets time-outs before and after the commit, resets, 5xx, 409, 429, slow answers and the death of its worker at each of 17 points, in the normal test run.',
  'S2-07':
    'The bank succeeds and the worker dies before recording it: one receipt, two requests with byte-equal key and body, the result is the first receipt; a bank that refuses the repeat leaves no silent guess.',
  'F-34':
    'A worker that dies between an effect and its record leaves nothing to chance: the effect is recognised and recorded, or shown as a doubt.',
  'S2-19':
    'After faults the books are checked from outside: each completed run has exactly its receipts with the right amounts, each receipt a run; a planted wrong one fails the check.',
  'F-08':
    'Runs under kills, resets and lost answers end with exactly the receipts of their invoices, counted in the log of the bank.',
  'S2-21':
    'The same work under the same faults: a service without an engine and a plain worker pay some invoices twice, effect() pays none twice and loses none.',
  'F-33':
    'The holder of a task is frozen past its time and another one takes over: with effect() the thawed one sends nothing, one receipt exists.',
  'S1-13':
    'A frozen worker that wakes up when another one has finished sends nothing and claims nothing; what it had seen is kept as a fact and changes no outcome: one effect, one row.',
  'F-18':
    'The host sleeps past the heartbeat time-out and wakes up: whichever line it slept on, what it does then is too late, and one effect exists.',
  'F-32': 'A task that was taken and never acknowledged goes to two workers: one effect.',
  'S3-37':
    'A lock with a TTL is not once: frozen longer than the TTL its holder pays a second time; effect() in its place pays once.',
  'S2-08':
    'A key alone does not carry an effect: another body, an expired key, a request in flight, a receiver without keys each have their own safe end.',
  'S2-20':
    'When a later step cannot be done, what was done before it is undone in reverse, each undoing once, also when a worker dies in its middle.',
  supervised:
    'Under `pawl worker` the runs of a killed worker go on at once, each effect once; a worker that is only frozen is left alone.',
  noticed:
    'Where nobody sees a worker die, its runs go on by time-outs within five seconds, at the first attempt of a step; a database that stands still for as long is no death, and no model is asked again for it.',
  fork: 'A fork decides a turn of an ended run anew: what was done from there on is kept or undone as told, the model knows which, and nothing is sent again.',
  transactional:
    'An effect in the database of the ledger is committed with its outcome or not at all; a lost answer to the commit is resolved by reading its row.',
  'identity-once':
    'The same intention, asked for again in a later turn or at the same time in 20 runs, is one effect; the others get its outcome.',

  'order-not-authority':
    'Whoever can reach Temporal may delay, repeat or stop work: activities with any input, forged results and signals send nothing that the ledger does not permit and store no outcome; what no row backs is refused, counted and shown by `pawl doctor`.',

  'tenants-apart':
    'A database login that is bound to a tenant reads and writes rows of that tenant only, in every table, as a worker and as a client.',
  'approvals-by-database':
    'The database itself refuses a decision by who asked, under any spelling of the name, and one after the expiry; the time of a decision is that of its clock.',
  'strict-codec':
    'With keys, a payload of Temporal that is in the clear is refused, and so is a ciphertext that was written for another namespace or workflow; what an older build encrypted stays readable.',
  'keys-stay': "The client's role can wrap the key of a run anew, and cannot take it away.",

  // The laws of an effect (ARCHITECTURE.md).
  'law-01-ids':
    'An effect has the same id in every execution of the same step: nothing of it comes from Temporal ids, model output, attempts, time or dice.',
  'law-02-identity':
    'While an effect with an identity is open or in doubt, another one with that identity waits; a refusal releases it; other arguments need an approval.',
  'law-03-own-the-wire':
    'No byte of a write leaves before permission and request are committed; a later attempt sends the stored bytes; a tool that fails before its write has provably not sent.',
  'law-04-facts':
    'A permit is fenced and leased, an observation never is: an answer that comes late settles a doubt by itself, and a process that lost its lease cannot send.',
  'law-05-write-ahead':
    'The intent is stored before the send and the outcome before the activity returns; while the ledger is down the outcome travels through history and is written back.',
  'law-06-ambiguous':
    'Only what the receiver documents as not executed is a no: time-outs, resets, cut answers and server errors after the send leave the outcome open.',
  'law-07-one-retry-layer':
    'Exactly one layer retries: SDK retries are off, and the ledger ends the sends of an effect whatever Temporal dispatches.',
  'law-08-jitter': 'Every delay that Pawl gives to Temporal carries jitter of its own.',
  'law-09-cancel': 'A cancelled run sends nothing new, and what was sent is settled.',
  'law-10-reset':
    'A reset executes code again and sends nothing again: model steps and effects return what the ledger holds.',
  'temporal-restored':
    "Temporal's database put back to an earlier point: every run goes on from its old history, and no effect and no model step happens again.",
  'law-11-reconciler':
    'A dispatched effect past its lease is probed or put in doubt even when its workflow was terminated.',
  'sweeps-killed':
    'A worker that dies in every sweep blinds nobody: what needs no look-up is in doubt within its lease and a sweep, and a look-up that kills its worker keeps no other effect waiting.',
  'doubts-are-quiet':
    'A doubt waits for its signal and looks once a day: a settlement wakes the effect that it is for and no other, and one whose signal was lost is signalled by the next sweep.',
  'unattended-is-listed':
    '`pawl doubts` also lists what was sent, has no outcome, and has not been looked after for a minute past its lease; `pawl doctor` counts the same effects, and `pawl settle` says what to do and writes nothing unless the receiver has accepted it.',
  'agent-attribute':
    "A run is started with the search attribute `PawlAgent`, its agent's name, where the namespace has it as a Keyword; a start never fails for it.",
  'unsent-is-no-send':
    'A send that provably never left is tried again for as long as the tool says, ten minutes by default, and never counts as one of its sends; afterwards it is refused, or in doubt where an earlier send is open.',
  'look-ups-fail':
    'A look-up that throws or gets a 5xx says nothing and is made again for two minutes before that is a doubt; what it makes of such an answer is never taken for an absent.',
  'law-12-rolled-back':
    'A ledger that holds less than a run has seen is noticed, and nothing is sent.',
  explored:
    'Every state that two workers, the reconciler, Temporal, a receiver, people and the clock can reach within a budget of faults, by the functions that production runs, keeps every promise of its contract; an explorer that is given a defect finds it.',
  'statement-two-way':
    'A receipt that the ledger does not know and an applied effect that the receiver does not know are both reported, and 10,000 clean effects raise no alarm.',
  'async-receivers':
    'A receiver that accepts first and answers later is asked once: a signed callback, a probe or the end of its time brings the outcome; early, repeated, forged, foreign and contradicting callbacks neither repeat nor hide an effect.',
  'crash-matrix':
    'Every contract, every point at which a worker can die, every way of a receiver, under seeded schedules: none duplicated, none lost, and in doubt exactly what was predicted.',
  'ours-is-not-theirs':
    "After the receiver has answered 2xx to the end of its answer, nothing of ours (encoding, output schema, the tool's own code) makes the outcome unknown: the effect is applied with the cause as its output problem, and sent once.",
  'egress-guarded':
    'Tools connect by http and https only, to listed hosts where there is a list, and to no private, translated or metadata address however it is written or resolved: refused before a connection is tried, and again on the socket before a byte of TLS.',
  'answers-bounded':
    'An answer is read up to the limit of its tool, on the wire and unpacked, and until its deadline; a larger one after a 2xx is applied, and memory stays bounded.',
  'law-13-shutdown':
    'A worker that is told to stop lets its sends end first: no send is doubled by it.',

  // The ledger's own database.
  'database-trouble':
    'PostgreSQL stops at any moment, a connection breaks at any COMMIT, a pooler stands in front: no effect twice, none lost, no committed fact gone, no doubt silent, and no worker dies of it.',

  // Sessions, pauses and people.
  'S1-07':
    'A session survives 50 failures of the provider in a row with the same run and the same transcript.',
  'session-in-order':
    'What the user of a session says is answered once and in order, across kills of the worker and continue-as-new; the end waits for the answer.',
  'prefix-stable':
    'The request of a turn begins, byte for byte, with the request of the turn before: across workers, continue-as-new and deploys.',
  compaction:
    'A compaction is a recorded and priced step: asked for once, kept across crashes, and what has been done is told from the ledger.',
  'sub-agents':
    'A sub-agent is a run below its parent’s root: found again by a reset, in the same inbox, within the parent’s budget, paused and cancelled with it.',
  'S2-03':
    'Policy says no outside the model, before each effect, with the rule that decided; a policy that cannot be evaluated permits nothing.',
  'S2-04':
    'An approval is durable: it survives the death of every worker and of the server; a denial, a second, a late or a foreign approval never causes a second or another effect.',
  'S2-09':
    'A model that ignores its instructions is stopped by code: unknown tools, arguments that do not parse and forbidden calls send nothing.',
  'S2-11a':
    'A pause while the model answers: the call ends or is dropped, and no effect goes out until resume.',
  'S2-11b':
    'A pause while a tool call is under way: its effect is finished and recorded or not started, and nothing follows until resume.',
  'S2-11d':
    'A pause while an approval is awaited: even an approved effect does not go out until resume.',
  'stuck-visible':
    'A run that cannot go on is parked as stuck with its cause, in `pawl show` and in the UI, and goes on after `pawl resume`.',

  'paid-once':
    "A model's answer that has arrived is stored and its usage counted once before anything judges it, whatever it holds; a worker that dies, a judgement that throws or a database that refuses it buys no second one.",
  'whole-or-nothing':
    'Of an answer that is cut, refused, paused or unusable nothing is carried out; one whose pieces cannot be told apart is unusable, so that arguments never reach another call. It is asked for again within a limit, a refusal ends the run as refused, and none of them counts as completed.',
  'visible-waits':
    'A provider that asks for a long wait is given at most ten minutes: another model is asked at once, or the wait is shown with its end and a resume ends it.',
  'no-silent-retries':
    'The same failure of our own or of user code, three times in a row in one step, on whichever workers, parks the run as stuck with the cause; an outage of the database for a month ends no step.',
  'shutdown-is-no-cancel':
    'What a worker that stops has to break off is done again by the next one: only a cancel of the run is the end of its step.',

  // Model calls and retries.
  'S0-03': 'Every activity has a retry policy and a time-out of its own, said explicitly.',
  'S0-05':
    'Clients that fail together do not come back together: full jitter leaves at most a fifth of the peak.',
  'S0-07':
    'Every failure of a model call is a row of one table that says: retry or not, after how long, another provider or not, page or not.',
  'S1-03':
    'The models of an agent are `primary` and ordered `fallbacks`, each written provider/model; anything else is refused with its place.',
  'S2-05a':
    'A model call that always times out makes exactly as many requests as its policy has attempts: the layers do not multiply.',

  // Runs, histories and workers.
  'S3-28':
    'A worker keeps nothing: killed, its folder deleted, another one elsewhere finishes the run.',
  'S3-34':
    'Whichever of 12 tool calls a worker is ended after, each effect happens once and each finished model step was requested once.',
  'S3-35':
    'A worker that is told to stop takes nothing new, finishes what is on the wire, ends with 0, and the next one goes on.',
  'S3-36': 'A start that is delivered twice at the same time is one run and one effect.',
  'two-commits': 'An effect costs at most two durable commits: its permission and its outcome.',
  'history-linear':
    'A turn of one model call and one effect costs at most 12 events and 3 KiB of history, at turn 100 as at turn 5.',
  'S3-19':
    'The memory of a worker reaches a plateau under 512 MB: it keeps nothing of the runs that have ended.',
  'F-28':
    'A leak that a limit of 512 MB would show much later is seen by its slope, with its size.',
  'long-run':
    'A run through many continue-as-new and killed workers is one run: effects once, turns of constant size, one transcript.',
  'long-limits':
    'Results, answers, arguments and messages beyond the limits of Temporal neither are lost nor end the run.',
  'replay-stable': 'Recorded histories replay on the code of today.',
  'rules-version':
    'A change of the rules behind a new rules version replays histories of the old one; bare, it is refused by name.',

  // Data at rest.
  'encryption-at-rest':
    'With keys, 50 canaries in arguments, results, errors, prompts, messages and approvals of a run leave no byte in PostgreSQL and its log, in Temporal, or in what workers log, count or trace; without keys the same search finds all of them.',
  'encryption-bound':
    'A ciphertext that was changed or moved to another run, tenant, table or column is refused; a missing key is named; a client without keys sees that there is something and writes nothing beside it.',
  'key-rotation':
    'After a rotation the new key alone reads every run and the old one alone none; repeating it changes nothing.',
  erasure:
    'Erased, no word of a run is left to read and its key is gone, on record with who, when and why; a live run or an open effect is refused, repeating it takes nothing more, and the audit is intact.',
  'audit-verify':
    'Each column of a run that is changed and each row that is deleted is named by the audit, except for a written list of wishes, copies and times; an erasure is not, and a ledger from before is sealed as it is found.',
  retention:
    'The garbage collector takes old runs once, and never one that is live, that Temporal can still reset, or that has an effect open, in doubt or in conflict.',
  'data-commands-killed':
    'Killed or interrupted anywhere and started again, the garbage collector and the rotation of keys end where undisturbed ones end; in between no run is half erased and every body that is left can be read.',
  'codec-server':
    "The codec server decrypts for Temporal's UI only with the token, only for the given origins, and does not start without either.",

  // What people type.
  'names-compared':
    'Names are compared by one normal form, in the client and in SQL: case, width, accents written in two ways, spaces and invisible letters make no other person.',
  'typed-texts':
    'Every text that people give to the client is judged before a server is asked: NUL, half surrogate pairs, empty, blank, too long, and in names what cannot be seen, are a mistake that names the field.',
  'dev-temporal-closed':
    'No port of the development Temporal starts a workflow for a page of a foreign origin in a browser.',
  'http-doors':
    'The codec server and the handler of callbacks answer every whole request and outlive broken ones: odd targets, headers, bodies, chunks, lengths and connections that are cut.',
  'seen-as-it-is':
    'What a person is shown of a call is what runs: every letter is seen or written out, two different arguments never look alike in any normal form, no line of theirs begins like a label of ours; in text, in JSON, and in the UI of Temporal.',
  'typed-lines':
    'Every command over generated options and arguments ends with an exit code of the table and a sentence: no stack trace, no raw code of a database, nothing hangs.',
  'typed-input':
    'JSON that people write is taken as it is written, or refused with the place: a number that loses digits, a repeated key, NUL, half a surrogate pair, too many levels.',

  'judging-is-total':
    "Whatever a user's code throws or returns while a call is judged, the judgement ends: the model is told, or the run is stuck with `Code.Invalid`; no thrown value breaks the code that reports it.",

  // What models answer.
  'answers-read':
    'An answer that has arrived is read, whatever it holds: with its usage, and without an error that would buy it again.',
  'arguments-exact':
    'Arguments that a value cannot hold as they were written (rounded numbers, half pairs, duplicate keys, 100 levels) are malformed, and the place is named.',
  'always-sendable':
    'What goes back to a provider is accepted by it, whatever stands in the transcript; a longer transcript begins with the same bytes.',

  'one-input':
    'A tool has one form of its input: what the schema makes of the stored JSON is what identity, amount, policy, run, probe and compensate see, and it is the same at the judgement and at the send.',
  // The house.
  'S0-13':
    'Branching is pure code and only activities call a model: a task makes exactly the expected number of model requests.',
  'determinism-bundle':
    'The workflow bundle reaches no builtin of Node, no activity code and no package but those listed, and stays under 3 MiB.',
  'import-table':
    'Who may import whom is one table, and every other import is refused with a message that teaches.',

  // Servers.
  'S3-16':
    'The compose file holds Temporal, its UI and PostgreSQL with pinned images, and is valid by the compose schema.',
  'S3-17': 'Every service of the compose file waits until what it depends on is healthy.',

  // Amounts.
  'lists-are-bounded':
    'Over 100,000 runs, effects and approvals no list reads a large table from end to end; each is read in pages by key, a page that is not all says so and how to go on, and `--all` is all of it.',

  'doctor-sees':
    '`pawl doctor` names runs whose workflow was ended in Temporal, whatever else is live, and counts effects past their lease and doubts, with the oldest.',

  // Workflows that others have ended or paused in Temporal.
  'ended-is-closed':
    'A run whose workflow was terminated, failed or timed out in Temporal is closed by a sweep as terminated (a cancelled one as cancelled); resumed, it goes on from the rows: what was sent is not sent again, what was answered is not asked again.',
  'open-is-not-ended':
    'Only a status that Temporal documents as an end is one: a paused workflow, one that continued as new, one that Temporal does not know and an unknown status close no row, and an execution that is open is never deleted.',
} as const satisfies Record<string, string>;

export type GuaranteeId = keyof typeof guarantees;

/** These a test can prove without a server; each of the others needs at least one test that runs on real ones. */
export const provenWithoutServers: readonly GuaranteeId[] = [
  'strict-codec',
  'crash-matrix',
  'S0-03',
  'S0-05',
  'S0-07',
  'S1-03',
  'S3-16',
  'S3-17',
  'determinism-bundle',
  'import-table',
  'explored',
  'whole-or-nothing',
  'answers-read',
  'arguments-exact',
  'always-sendable',
  'codec-server',
  'typed-texts',
  'seen-as-it-is',
  'http-doors',
  'typed-input',
];
