// What Anthropic's `POST /v1/messages` documents and refuses with 400, in its own words.
import { findRepeated, isObjectSchema } from './model-rules.ts';
import { BadModelRequest } from './model-wire.ts';

export interface Block {
  type: string;
  [field: string]: unknown;
}

export interface Turn {
  role: 'user' | 'assistant';
  blocks: Block[];
}

export interface OfferedTool {
  name: string;
  input_schema?: unknown;
}

/** Throws `BadModelRequest` for the first rule that the conversation breaks. */
export function checkTurns(turns: readonly Turn[]): void {
  if (turns[0]?.role !== 'user') refuse('messages: first message must use the "user" role');
  turns.forEach(({ role, blocks }, at) => {
    if (turns[at - 1]?.role === role) refuse(alternation(role));
    if (blocks.length === 0) {
      refuse(
        `messages.${at}: all messages must have non-empty content except for the optional final assistant message`,
      );
    }
    blocks.forEach((block, index) => checkBlock(block, role, `messages.${at}.content.${index}`));
    checkEnd(blocks, role, at, turns.length);
  });
  checkResultsFirst(turns);
  checkCallIds(turns);
}

function alternation(role: string): string {
  return `messages: roles must alternate between "user" and "assistant", but found multiple "${role}" roles in a row`;
}

const IN_ANSWERS = ['tool_use', 'thinking', 'redacted_thinking', 'server_tool_use'];

function checkBlock(block: Block, role: Turn['role'], place: string): void {
  if (block.type === 'text') return checkText(block['text'], 'messages');
  if (role === 'user' && IN_ANSWERS.includes(block.type))
    refuse(`${place}: \`${block.type}\` blocks can only be in \`assistant\` messages`);
  if (role === 'assistant' && block.type === 'tool_result')
    refuse(`${place}: \`tool_result\` blocks can only be in \`user\` messages`);
  if (block.type === 'tool_use') checkCall(block, place);
  if (block.type === 'tool_result')
    matchPattern(block['tool_use_id'], ID, `${place}.tool_result.tool_use_id`);
}

/** Of a message or of the system prompt. */
export function checkText(text: unknown, place: string): void {
  if (typeof text !== 'string') refuse(`${place}: text: Input should be a valid string`);
  if (text === '') refuse(`${place}: text content blocks must be non-empty`);
  if (String(text).trim() === '')
    refuse(`${place}: text content blocks must contain non-whitespace text`);
}

const ID = /^[a-zA-Z0-9_-]+$/;
const NAME = /^[a-zA-Z0-9_-]{1,128}$/;

function matchPattern(value: unknown, pattern: RegExp, place: string): void {
  if (typeof value !== 'string' || !pattern.test(value))
    refuse(`${place}: String should match pattern '${pattern.source}'`);
}

function checkCall({ id, name, input }: Block, place: string): void {
  matchPattern(id, ID, `${place}.tool_use.id`);
  matchPattern(name, NAME, `${place}.tool_use.name`);
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    refuse(`${place}.tool_use.input: Input should be a valid dictionary`);
}

function checkEnd(blocks: readonly Block[], role: string, at: number, turns: number): void {
  const last = blocks.at(-1);
  if (role !== 'assistant') return;
  if (last?.type === 'thinking' || last?.type === 'redacted_thinking')
    refuse(`messages.${at}: The final block in an assistant message cannot be \`${last.type}\`.`);
  if (at === turns - 1 && last?.type === 'text' && /\s$/.test(String(last['text'])))
    refuse('messages: final assistant content cannot end with trailing whitespace');
}

/** `tool_result` blocks stand before everything else of their message, one for each call. */
function checkResultsFirst(turns: readonly Turn[]): void {
  for (const [at, { role, blocks }] of turns.entries()) {
    if (role !== 'user') continue;
    const results = blocks.filter(({ type }) => type === 'tool_result');
    const isFirst = results.every((result, index) => blocks[index] === result);
    if (!isFirst) {
      refuse(
        `messages.${at}: Did not find ${results.length} \`tool_result\` block(s) at the beginning of this message.` +
          ' Messages following `tool_use` blocks must begin with a matching number of `tool_result` blocks.',
      );
    }
    const twice = findRepeated(results.map((result) => String(result['tool_use_id'])));
    if (twice) {
      refuse(
        `messages.${at}.content.${twice.again}: each tool_use must have a single result.` +
          ` Found multiple \`tool_result\` blocks with id: ${twice.value}`,
      );
    }
  }
}

function checkCallIds(turns: readonly Turn[]): void {
  const placed = turns.flatMap(({ blocks }, at) =>
    blocks.flatMap((block, index) =>
      block.type === 'tool_use' ? [{ id: String(block['id']), at, index }] : [],
    ),
  );
  const twice = findRepeated(placed.map(({ id }) => id));
  const again = twice && placed[twice.again];
  if (again) refuse(`messages.${again.at}.content.${again.index}: \`tool_use\` ids must be unique`);
}

export function checkTools(tools: readonly OfferedTool[]): void {
  tools.forEach(({ name, input_schema: schema }, index) => {
    const place = `tools.${index}.custom`;
    matchPattern(name, NAME, `${place}.name`);
    if (!isObjectSchema(schema)) refuse(`${place}.input_schema.type: Input should be 'object'`);
    if (['anyOf', 'oneOf', 'allOf'].some((key) => key in (schema as object))) {
      refuse(
        `${place}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level`,
      );
    }
  });
  if (findRepeated(tools.map(({ name }) => name))) refuse('tools: Tool names must be unique.');
}

function refuse(message: string): never {
  throw new BadModelRequest(message);
}
