import { vi } from 'vitest'

/** An EventSource whose events the test decides. */
export class FakeEventSource extends EventTarget {
  static all: FakeEventSource[] = []
  closed = false

  constructor(readonly url: string) {
    super()
    FakeEventSource.all.push(this)
  }

  static install(): void {
    FakeEventSource.all = []
    vi.stubGlobal('EventSource', FakeEventSource)
  }

  static last(): FakeEventSource {
    const source = FakeEventSource.all.at(-1)
    if (!source) throw new Error('nothing was opened')
    return source
  }

  /** The open connections to addresses that contain `part`. */
  static open(part: string): FakeEventSource[] {
    return FakeEventSource.all.filter((source) => !source.closed && source.url.includes(part))
  }

  emit(name: string, data?: unknown): void {
    if (this.closed) return
    const event =
      data === undefined ? new Event(name) : new MessageEvent(name, { data: JSON.stringify(data) })
    this.dispatchEvent(event)
  }

  close(): void {
    this.closed = true
  }
}
