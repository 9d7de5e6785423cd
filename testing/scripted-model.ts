// scriptedModel: what the model says, reply by reply; an unexpected request and an unused reply are both errors.
import {
  type ModelAnswer,
  type ModelScript,
  type ScriptedReplies,
  scriptedReplies,
} from '../devstack/receivers/index.ts';

/**
 * Replies in order of arrival, for `withTestRun({ model })`. One request too many gets a 500 that says so; call
 * `assertComplete()` at the end to notice replies that nobody asked for. A reply may be a function of the request.
 */
export function scriptedModel(replies: ReadonlyArray<ModelAnswer | ModelScript>): ScriptedReplies {
  return scriptedReplies(replies);
}
