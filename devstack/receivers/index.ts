// The public names of the fake receivers.
export { startBank } from './bank.ts';
export type {
  AnnounceOptions,
  Bank,
  BankOptions,
  Transfer,
  WebhookDelivery,
  WebhookTarget,
} from './bank.ts';
export { startMailbox } from './mailbox.ts';
export type { Mailbox, MailboxOptions } from './mailbox.ts';
export { startModelProvider } from './model-provider.ts';
export type { ModelProvider, ModelProviderOptions, ModelRequest } from './model-provider.ts';
export {
  cut,
  failWith,
  hang,
  isFault,
  lastUserText,
  reset,
  scriptedReplies,
  toolResults,
} from './model-script.ts';
export type {
  CutEnd,
  ModelAnswer,
  ModelFault,
  ModelReply,
  ModelScript,
  ModelUsage,
  NeutralMessage,
  NeutralPart,
  NeutralRequest,
  NeutralTool,
  ScriptedReplies,
  StatusFault,
  StopReason,
} from './model-script.ts';
export { modeKinds } from './modes.ts';
export type { ModeKind, ModeMatch, ModeOptions, ModeRule, Modes } from './modes.ts';
export { connectReceiver, spawnReceiver } from './receiver-client.ts';
export type { ReceiverClient, ReceiverProcess, ReceiverProcessOptions } from './receiver-client.ts';
export type { ReceiptFilter, Receiver, ReceiverOptions, RequestFilter } from './receiver.ts';
export { createWebhookSecret } from './webhooks.ts';
export { readReceipts } from './receipts-log.ts';
export type {
  AcceptanceLine,
  Answer,
  EffectLine,
  EffectRecord,
  Json,
  ReceiptLine,
  ReceiptsLogContents,
  ReceiptsLogLine,
  RequestLine,
} from './receipts-log.ts';
