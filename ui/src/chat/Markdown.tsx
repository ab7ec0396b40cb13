import { lazy, Suspense, useDeferredValue } from 'react'
import { splitGrowing } from './split'

const MarkdownBody = lazy(() => import('./MarkdownBody'))

/** An answer. While it grows, the finished part is not parsed again. */
export function Markdown({ text, growing }: { text: string; growing: boolean }) {
  const shown = useDeferredValue(text)
  const [finished, rest] = growing ? splitGrowing(shown) : [shown, '']
  return (
    <div className="prose">
      <Suspense fallback={<p className="whitespace-pre-wrap">{text}</p>}>
        {finished && <MarkdownBody text={finished} />}
        {rest && <MarkdownBody text={rest} />}
      </Suspense>
    </div>
  )
}
