import { useState } from 'react'
import { t } from '../i18n/t'
import { readTheme, setTheme, type Theme } from '../theme'

const THEMES: Theme[] = ['system', 'light', 'dark']

export function ThemePicker() {
  const [theme, keep] = useState(readTheme)
  return (
    <fieldset className="flex flex-wrap gap-x-5 gap-y-2">
      <legend className="mb-2 text-xs font-medium">{t('theme.label')}</legend>
      {THEMES.map((value) => (
        <label key={value} className="flex cursor-pointer items-center gap-2">
          <input
            type="radio"
            name="theme"
            className="accent-accent"
            checked={theme === value}
            onChange={() => {
              setTheme(value)
              keep(value)
            }}
          />
          {t(`theme.${value}`)}
        </label>
      ))}
    </fieldset>
  )
}
