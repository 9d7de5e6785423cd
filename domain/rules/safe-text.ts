// Text of models, receivers and people made harmless to look at: what is not seen, or seen as something else, is written out.

/** Marks on one letter that are shown; a flood of them would cover the lines around it. */
const MARKS_MAX = 4;

/**
 * Everything but letters, marks, numbers, punctuation, symbols and the plain space; and of those what has no picture:
 * default-ignorables (variation selectors, fillers), blank braille, a null note head, a filler of Khitan.
 */
const UNSEEN =
  /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|[\p{Default_Ignorable_Code_Point}\u2800\u{1d159}\u{16fe4}]/u;
const MARK = /\p{M}/u;
const PLAIN = /^[ -~\n]*$/;

/**
 * The text with every letter that could deceive written out, as in `\u{1b}`. Keeps newlines. Two texts never come out the
 * same, not even in another normal form of Unicode: a `\u{` of the text itself is written as `\u{5c}u{`.
 */
export function toSafeText(text: string): string {
  return writeOut(text.replaceAll('\\u{', '\\u{5c}u{'), (letter) => `\\u{${hex(letter)}}`);
}

/** The same on one line: line breaks with the blanks around them become `⏎`, tabs become spaces. */
export function toSafeLine(text: string): string {
  return toSafeText(text.replaceAll(/\s*[\r\n]+\s*/g, ' ⏎ ').replaceAll('\t', ' '));
}

/** JSON text with the same letters as its own escapes: any parser reads what was there before. */
export function toSafeJson(json: string): string {
  return writeOut(json, (letter) =>
    [...Array(letter.length).keys()]
      .map((at) => `\\u${letter.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

function writeOut(text: string, write: (letter: string) => string): string {
  if (PLAIN.test(text)) return text;
  const composes = text.normalize('NFC') !== text;
  let safe = '';
  // The letter that a mark would be drawn on, with its marks.
  let cluster = '';
  let marks = 0;
  for (const letter of text) {
    const isMark = MARK.test(letter);
    marks = isMark ? marks + 1 : 0;
    const isSeen = letter === '\n' || (!UNSEEN.test(letter) && (!isMark || cluster !== ''));
    if (isSeen && marks <= MARKS_MAX && !(composes && changes(cluster, letter))) {
      safe += letter;
      cluster = letter === '\n' ? '' : isMark ? cluster + letter : letter;
    } else {
      safe += write(letter);
      cluster = '';
    }
  }
  return safe;
}

/** True when the two would be drawn as another letter is: the same text in another normal form. */
function changes(cluster: string, letter: string): boolean {
  const joined = cluster + letter;
  return joined.normalize('NFC') !== joined;
}

function hex(letter: string): string {
  return (letter.codePointAt(0) ?? 0).toString(16);
}
