/** How far some work is; without `max` it only shows that something goes on. */
export function ProgressBar({ label, value, max }: { label: string; value: number; max: number }) {
  const known = max > 0
  const percent = known ? Math.min(100, (value / max) * 100) : 0
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={known ? max : undefined}
      aria-valuenow={known ? Math.min(value, max) : undefined}
      className="h-1.5 overflow-hidden rounded-full bg-hover"
    >
      <div
        className={`h-full rounded-full bg-accent ${known ? 'transition-[width]' : 'slide w-1/3'}`}
        style={known ? { width: `${percent}%` } : undefined}
      />
    </div>
  )
}
