// Names per package entry, as literals. A red pin means: decide, then change pin and CHANGELOG in one commit.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const root = path.join(import.meta.dirname, '../..');
const { exports: entries } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string | Record<string, string>>;
};

interface Names {
  values: readonly string[];
  types: readonly string[];
}

const words = (text: string): string[] => text.trim().split(/\s+/);

const pins: Record<string, Names> = {
  '.': {
    values: words(`
      AmbiguousAnswer Contract EffectStatus FailureType PendingError RefusedError absent
      defineAgent defineTool found httpEffect isPending isRefusal modelConfigSchema pending
      refused unclear
    `),
    types: words(`
      Agent AgentOptions Amount AnyTool Compensate Duration EffectDeclaration
      HttpEffectOptions HttpRequest Json LedgerTransaction ModelConfig ProbeContext ProbeResult RunResult Tool ToolContext
      ToolInput ToolOptions ToolOutput
    `),
  },
  './workflows': {
    values: words(`
      agentRun compensate effect pawlCompensate pawlReconciler
    `),
    types: words(`
      AgentRunResult CompensateOptions CompensatedEffect CompensationReport EffectCall
      EffectOptions StepAddress
    `),
  },
  './workers': {
    values: words(`
      ConfigInvalid ModelCallError PRICES bundleWorkflows createConfiguredKeys
      createWorker defaultWorkflowsPath migrate readWorkerConfig withPrices
    `),
    types: words(`
      CreateWorkerOptions KeyContext KeyProvider ModelProvider PawlWorker WorkerConfig
      WrappedKey
    `),
  },
  './client': {
    values: words(`
      AgentInputInvalidError AgentUnknownError AlreadyDecidedError AmbiguousIdError
      ApprovalChangedError ApprovalExpiredError ApprovalObsoleteError
      ArgumentInvalidError CallbackConflictError DatabaseDeniedError
      DatabaseNotMigratedError DatabaseUnreachableError EncryptionRefusedError ExitCode
      ForkUndecidedError HistoryMissingError IdInvalidError NamespaceUnknownError
      NotASessionError NotConfiguredError NotSettleableError OutcomeConflictError PawlClient PawlError
      RunFinishedError RunNotEndedError RunNotErasableError RunNotResumableError
      RunNotStartedError RunStatus
      SelfApprovalError SettlementPendingError StartKeyTakenError
      TemporalUnreachableError UnknownIdError createCallbackHandler createConfiguredKeys
      isPawlError startCodecServer toRequestListener
    `),
    types: words(`
      AgentDescription AgentView ApprovalView ApprovalsOptions AuditOptions AuditProblem AuditReport
      CallView CallbackAnswer CallbackHandler CallbackHandlerOptions CallbackMessage
      CallbackReading CallbackReceiver CallbackReport CallbackView ClientOptions
      CodecAccess CodecServer CodecServerOptions CompactionView ComparedEffect CompensateRunOptions
      CompensatedRun ControlAnswer ControlOptions DecidedApproval DecisionOptions
      DecisionView EffectExplanation EffectSibling EffectView EffectsOptions EraseAnswer EraseOptions
      EraseTarget ErasedRun FactView Fate FinishedRun ForkOptions ForkedRun
      GarbageOptions GarbageReport HealthCheck HealthReport IdKind KeyContext
      KeyProvider ListOptions Listed MessageView PageOptions PauseAnswer PauseOptions ReconcileFinding
      ReconcileOptions ReconcileReport Reply ReplyOptions RequestView ResumeAnswer RotateOptions
      RotationReport RunDetails RunEvent RunView SettleAnswer SettleOptions
      SettlementView ShowOptions StartOptions StartedRun StatementLine SteerAnswer
      StuckRunView ToolDescription TranscriptEntry TranscriptOptions TurnView UndecidedEffect
      Wake
      WatchOptions WrappedKey
    `),
  },
  './testing': {
    values: words(`
      CrashPoint ReplayFailedError connectReceiver crashAt createMemoryEffectLedger
      createWebhookSecret cut effectLedgerContract failWith findTestServers hang isFault
      lastUserText modeKinds readReceipts replayHistories reset saveHistory
      scriptedModel scriptedReplies spawnReceiver startBank startMailbox
      startModelProvider stopTestServers toolResults until withTestRun
    `),
    types: words(`
      AcceptanceLine AnnounceOptions Answer Bank BankOptions CrashHook CutEnd EffectLine
      EffectRecord History Json LedgerUnderTest Mailbox MailboxOptions
      MemoryEffectLedger MemoryLedgerOptions ModeKind ModeMatch ModeOptions ModeRule
      ModelAnswer ModelFault ModelProvider ModelProviderOptions ModelReply ModelRequest
      ModelScript ModelUsage Modes NeutralMessage NeutralPart NeutralRequest NeutralTool
      ReceiptFilter ReceiptLine ReceiptsLogContents ReceiptsLogLine Receiver
      ReceiverClient ReceiverOptions ReceiverProcess ReceiverProcessOptions Receivers
      ReplayFailure ReplayOptions RequestFilter RequestLine SaveHistoryOptions
      ScriptedReplies StartedTestRun StatusFault StopReason TestRun TestRunOptions
      TestServers Transfer UntilOptions WebhookDelivery WebhookTarget
    `),
  },
};

const sources = Object.entries(entries).flatMap(([entry, target]) =>
  typeof target === 'string' ? [] : [{ entry, target }],
);

/** What a user can import from each entry, by TypeScript's own account. */
function readNames(): Record<string, Names> {
  const files = sources.map(({ target }) => path.join(root, target['pawl-source'] ?? ''));
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram(files, options);
  const checker = program.getTypeChecker();
  return Object.fromEntries(
    sources.map(({ entry }, index) => {
      const file = program.getSourceFile(files[index] ?? '');
      const module = file && checker.getSymbolAtLocation(file);
      const exported = module ? checker.getExportsOfModule(module) : [];
      const isValue = (symbol: ts.Symbol): boolean => isValueExport(checker, symbol);
      const namesOf = (symbols: ts.Symbol[]): string[] => symbols.map(({ name }) => name).sort();
      return [
        entry,
        {
          values: namesOf(exported.filter(isValue)),
          types: namesOf(exported.filter((symbol) => !isValue(symbol))),
        },
      ];
    }),
  );
}

function isValueExport(checker: ts.TypeChecker, symbol: ts.Symbol): boolean {
  const isTypeOnly = symbol.declarations?.some(
    (declaration) =>
      ts.isExportSpecifier(declaration) && ts.isTypeOnlyExportDeclaration(declaration),
  );
  if (isTypeOnly) return false;
  const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
  const target = isAlias ? checker.getAliasedSymbol(symbol) : symbol;
  return (target.flags & ts.SymbolFlags.Value) !== 0;
}

describe('package entries', () => {
  const names = readNames();

  it('the entries themselves → pinned', () => {
    expect(Object.keys(entries)).toEqual([...Object.keys(pins), './package.json']);
  });

  it.each(Object.keys(pins))(
    '%s → exactly the pinned names; red means: decide, then change pin and CHANGELOG in one commit',
    (entry) => {
      expect(names[entry]).toEqual(pins[entry]);
    },
  );

  it.each(sources)('$entry → source, types and code are the same file', ({ entry, target }) => {
    const folder = entry === '.' ? 'domain' : entry.slice(2);
    expect(target).toEqual({
      'pawl-source': `./${folder}/index.ts`,
      types: `./dist/${folder}/index.d.ts`,
      default: `./dist/${folder}/index.js`,
    });
  });
});
