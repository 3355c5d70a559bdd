import Link from 'next/link'
import { enter, removeMember } from '@/app/actions'
import { auth } from '@/auth'
import { type Family, larder, type List, type Member } from '@/lib/api'

const OUTCOMES: Record<string, string> = {
  fresh: 'You have signed in afresh. Press Remove again.',
  removed: 'Removed.',
  refused: 'You may not do that.',
  joined: 'Welcome to the family.',
  'too-late': 'The invitation is not good any more. Ask for a new one.',
}

export default async function Start({ searchParams }: { searchParams: Promise<{ outcome?: string }> }) {
  const session = await auth()
  if (!session) {
    return (
      <form action={enter}>
        <p>Your family’s lists, in one place.</p>
        <button>Sign in</button>
      </form>
    )
  }
  const outcome = OUTCOMES[(await searchParams).outcome ?? '']
  const { families } = await larder<{ families: Family[] }>('GET', '/v1/families')
  return (
    <>
      {outcome && <p role="status">{outcome}</p>}
      {families.map((family) => (
        <FamilyCard key={family.id} family={family} me={session.sub} />
      ))}
    </>
  )
}

async function FamilyCard({ family, me }: { family: Family; me: string }) {
  const at = `/families/${family.id}`
  const [{ lists }, { members }] = await Promise.all([
    larder<{ lists: List[] }>('GET', `/v1${at}/lists`),
    family.role === 'guest' ? { members: [] } : larder<{ members: Member[] }>('GET', `/v1${at}/members`),
  ])
  return (
    <section>
      <h1>{family.name}</h1>
      <ul>
        {lists.map((list) => (
          <li key={list.id}>
            <Link href={`${at}/lists/${list.id}`}>{list.name}</Link>
          </li>
        ))}
      </ul>
      <ul>
        {members.map((member) => (
          <li key={member.user_id}>
            {member.display_name} <small>{member.role}</small>
            {family.role === 'admin' && member.user_id !== me && (
              <form action={removeMember}>
                <input type="hidden" name="family" value={family.id} />
                <input type="hidden" name="member" value={member.user_id} />
                <button aria-label={`Remove ${member.display_name}`}>Remove</button>
              </form>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}
