import { Invitation } from '@/app/join/invitation'
import { auth } from '@/auth'

export const metadata = { title: 'An invitation' }

export default async function Join() {
  const session = await auth()
  return (
    <section>
      <h1>An invitation</h1>
      <Invitation me={session ? (session.user?.name ?? '') : undefined} />
    </section>
  )
}
