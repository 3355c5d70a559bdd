'use client'
// An invitation's link carries its token in the fragment, which no server is sent. So the browser takes it from there,
// keeps it while the person signs in, and hands it to our own server to ask what it is to.
import { useEffect, useState } from 'react'
import { acceptInvitation, enterToJoin, previewInvitation } from '@/app/actions'
import type { Preview } from '@/lib/api'

const KEPT = 'invitation'

type Found = 'nothing yet' | 'no link' | 'no good' | 'no answer' | { token: string; preview: Preview }

/** `me` is the name of whoever is signed in, undefined for nobody. */
export function Invitation({ me }: { me: string | undefined }) {
  const [found, setFound] = useState<Found>('nothing yet')

  useEffect(() => {
    const look = async () => {
      const link = new URLSearchParams(location.hash.slice(1)).get('invitation')
      if (link) {
        sessionStorage.setItem(KEPT, link)
        history.replaceState(null, '', location.pathname) // not for the history, and not for who looks on
      }
      const token = sessionStorage.getItem(KEPT)
      if (!token) return setFound('no link')
      if (me === undefined) return
      const preview = await previewInvitation(token)
      setFound(preview ? { token, preview } : 'no good')
    }
    const again = () => void look().catch(() => setFound('no answer'))
    again()
    addEventListener('hashchange', again) // another link, opened in the same tab
    return () => removeEventListener('hashchange', again)
  }, [me])

  if (found === 'no link') return <p>Open the link of the invitation once more: there is none here.</p>
  if (me === undefined) {
    return (
      <form action={enterToJoin}>
        <p>You are invited to a family. Sign in, or make an account, to see by whom.</p>
        <button>Sign in</button>
      </form>
    )
  }
  if (found === 'nothing yet') return <p role="status">One moment.</p>
  if (found === 'no good') return <p role="alert">This invitation is not good any more: it was used, revoked, or is too old. Ask for a new one.</p>
  if (found === 'no answer') return <p role="alert">That did not work. Load the page again.</p>

  const { token, preview } = found
  if (preview.member_as) {
    return (
      <p role="status">
        You are in {preview.family_name} already. <a href="/">To its lists</a>
      </p>
    )
  }
  return (
    <form action={acceptInvitation} onSubmit={() => sessionStorage.removeItem(KEPT)}>
      <p>
        {preview.invited_by ?? 'Somebody who has left it'} invites you to <strong>{preview.family_name}</strong>, as {ROLES[preview.role]}.
      </p>
      {preview.lists.length > 0 && <p>You will see: {preview.lists.join(', ')}.</p>}
      <input type="hidden" name="token" value={token} />
      <label>
        What the family calls you <input name="display_name" defaultValue={me} required maxLength={200} />
      </label>
      <button>Join</button>
      <p>
        <small>You are signed in as {me}. Whoever that is joins: if it is not you, sign out and open the link again.</small>
      </p>
    </form>
  )
}

const ROLES: Record<Preview['role'], string> = { admin: 'an admin', member: 'a member', guest: 'a guest' }
