import type { Instance, Phase } from '../api/types'
import { t } from '../i18n/t'

const DOTS: Record<Phase, string> = {
  pending: 'bg-accent pulse',
  preparing: 'bg-accent pulse',
  starting: 'bg-accent pulse',
  running: 'bg-good',
  degraded: 'bg-warn',
  stopping: 'bg-muted pulse',
  stopped: 'border-[1.5px] border-muted',
  failed: 'bg-bad',
  deleting: 'bg-bad pulse',
}

/** Only the colour; always beside a text that says the same. */
export function PhaseDot({ phase }: { phase: Phase }) {
  return <span aria-hidden className={`inline-block size-2 shrink-0 rounded-full ${DOTS[phase]}`} />
}

/** The state in one word. */
export function PhaseBadge({ instance }: { instance: Pick<Instance, 'phase' | 'availability'> }) {
  return (
    <span
      className="inline-flex items-center gap-1.5 text-xs font-medium whitespace-nowrap"
      title={t(`availability.${instance.availability}`)}
      data-phase={instance.phase}
      data-availability={instance.availability}
    >
      <PhaseDot phase={instance.phase} />
      {t(`phase.${instance.phase}`)}
    </span>
  )
}

/** Why an instance is not as it should be. */
export function Trouble({ phase, text }: { phase: Phase; text: string | null }) {
  return <p className={`text-xs break-words ${phase === 'failed' ? 'text-bad' : 'text-warn'}`}>{text}</p>
}
