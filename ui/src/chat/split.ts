// While an answer grows, only its last paragraph needs to be parsed again.

/** Cuts Markdown after its last finished block: `[finished, growing]`. Never cuts inside a fenced code block. */
export function splitGrowing(text: string): [finished: string, growing: string] {
  let cut = 0
  let offset = 0
  let fence: string | null = null
  for (const line of text.split('\n')) {
    const mark = /^\s{0,3}(`{3,}|~{3,})/.exec(line)?.[1]
    if (mark && fence === null) fence = mark
    else if (mark && fence !== null && mark.startsWith(fence)) fence = null
    offset += line.length + 1
    if (fence === null && line.trim() === '' && offset <= text.length) cut = offset
  }
  return [text.slice(0, cut), text.slice(cut)]
}
