import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { hubKeys, logOut } from '../api/hub'
import { t } from '../i18n/t'
import { toast } from '../ui/toast'

/** Ends the session and forgets everything that was read in it. */
export function useLogOut() {
  const client = useQueryClient()
  const navigate = useNavigate()
  return useMutation({
    mutationFn: logOut,
    onSuccess: async () => {
      client.setQueryData(hubKeys.session, null)
      await navigate({ to: '/login' })
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== hubKeys.session[0] })
    },
    onError: (error) => toast.failure(t('error.title'), error),
  })
}
