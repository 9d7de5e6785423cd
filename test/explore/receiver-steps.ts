// The steps of the receiver: it honours its key, can be asked, or neither; and what it does behind an answer.
import { appendEntries, toEntries } from './ledger.ts';
import { sayingOf } from './probe-answer.ts';
import { RETENTION_TICKS } from './setting.ts';
import { type Stage, step } from './step.ts';
import { breaks, effectAt, type Message, nobody, type World } from './world.ts';

/** Every next step of the receiver for that effect. */
export function receiverSteps(stage: Stage, index: number): void {
  const effect = effectAt(stage.world, index);
  for (const [at, message] of effect.messages.entries()) {
    if (message.answer === '') receive(stage, index, at);
    else if (message.isLate) hearLate(stage, index, at, message);
  }
  if (effect.receiver.jobs > 0) finishJob(stage, index);
}

function receive(stage: Stage, index: number, at: number): void {
  const { receiver } = effectAt(stage.world, index);
  const { contract } = stage.lab.setting;
  const isKnown =
    contract === 'keyed' && receiver.key !== 'none' && receiver.keyAge < RETENTION_TICKS;
  const act = (
    text: string,
    change: (draft: World, message: Message) => void,
    fault?: Parameters<typeof step>[3],
  ): void =>
    step(
      stage,
      'receiver',
      (draft) => {
        const message = effectAt(draft, index).messages[at];
        if (message) change(draft, message);
        judgeReceipts(stage, draft, index);
        return text;
      },
      fault,
    );
  if (isKnown) {
    const known = receiver.key;
    const answer = known === 'applied' || known === 'refused' ? known : 'ambiguous';
    act(`knows the key: ${known}`, (_draft, message) => (message.answer = answer));
  } else {
    act('does it and answers', (draft, message) => {
      apply(draft, index);
      message.answer = 'applied';
    });
    const doesAndHides = (draft: World, message: Message): void => {
      apply(draft, index);
      message.answer = 'ambiguous';
    };
    act('does it, and the answer is lost', doesAndHides, 'answer-lost');
    act('refuses', (draft, message) => answerNo(draft, index, message), 'refusal');
    act('accepts it for later', (draft, message) => accept(draft, index, message), 'accepted');
    if (contract === 'keyed') {
      const sticks = (draft: World, message: Message): void => {
        doesAndHides(draft, message);
        effectAt(draft, index).receiver.key = 'sticky';
      };
      act('does it and answers 500 to this key for ever', sticks, 'sticky-error');
    }
  }
  const atDoor = (_draft: World, message: Message): void => {
    message.answer = 'door';
  };
  const mismatch = (_draft: World, message: Message): void => {
    message.answer = 'unprocessable';
  };
  if (contract === 'keyed') act('knows the key with another body (422)', mismatch, 'unprocessable');
  act('refuses at the door (401, 429), whatever the key', atDoor, 'door-refusal');
}

function apply(draft: World, index: number): void {
  const { receiver } = effectAt(draft, index);
  receiver.receipts += 1;
  Object.assign(receiver, { key: 'applied', keyAge: 0 });
}

function answerNo(draft: World, index: number, message: Message): void {
  message.answer = 'refused';
  Object.assign(effectAt(draft, index).receiver, { key: 'refused', keyAge: 0 });
}

function accept(draft: World, index: number, message: Message): void {
  const { receiver } = effectAt(draft, index);
  message.answer = 'pending';
  receiver.jobs += 1;
  Object.assign(receiver, { key: 'working', keyAge: 0 });
}

function judgeReceipts({ lab }: Stage, draft: World, index: number): void {
  const done = draft.effects.map(({ receiver }) => receiver.receipts + receiver.jobs);
  if ((done[index] ?? 0) > 1) breaks(draft, 'one-receipt', 'the receiver does it a second time');
  const isBoth = done.filter((count) => count > 0).length > 1;
  if (isBoth && lab.setting.identity !== 'approved') {
    breaks(draft, 'identity', 'two effects of one identity are done');
  }
}

/** Whoever was left behind knows no more than the one that waited: at the door of a resend nothing was said. */
function hearLate(
  stage: Stage,
  index: number,
  at: number,
  { answer, fence, isResend }: Message,
): void {
  const say = sayingOf(answer, isResend);
  if (say === 'ambiguous' || say === 'unprocessable') return;
  step(stage, 'receiver', (draft) => {
    effectAt(draft, index).messages.splice(at, 1);
    appendEntries(stage.lab, draft, index, toEntries({ ...nobody(), say, fence }));
    return `a left-behind tool hears at last, and its ${say} is appended`;
  });
}

function finishJob(stage: Stage, index: number): void {
  const finish =
    (isDone: boolean, callbacks: number) =>
    (draft: World): string => {
      const { receiver, notices } = effectAt(draft, index);
      const outcome = isDone ? 'applied' : 'refused';
      receiver.jobs -= 1;
      if (isDone) receiver.receipts += 1;
      if (receiver.key === 'working') receiver.key = outcome;
      for (let at = 0; at < callbacks; at += 1) notices.push(outcome);
      return `ends what it accepted: ${outcome}, ${callbacks} callbacks`;
    };
  step(stage, 'receiver', finish(true, 1));
  step(stage, 'receiver', finish(false, 1), 'refusal');
  step(stage, 'receiver', finish(true, 0), 'callback-lost');
  step(stage, 'receiver', finish(true, 2), 'callback-twice');
}
