import type { ReactNode } from 'react'
import { leave } from '@/app/actions'
import { RefreshOnFocus } from '@/app/refresh-on-focus'
import { auth } from '@/auth'
import './style.css'

export const metadata = { title: 'Groceries' }

export default async function Layout({ children }: { children: ReactNode }) {
  const session = await auth()
  return (
    <html lang="en">
      <body>
        <header>
          <a href="/">Groceries</a>
          {session && (
            <form action={leave}>
              <span>{session.user?.name}</span>
              <button>Sign out</button>
            </form>
          )}
        </header>
        <main>{children}</main>
        <RefreshOnFocus />
      </body>
    </html>
  )
}
