// Sign-in. Auth.js does the code flow with PKCE, state and nonce, and keeps a cookie that says who is signed in. The
// tokens are not in it: they stay in the session store, under the sid of the ID token.
import { decodeJwt } from 'jose'
import NextAuth from 'next-auth'
import { API, ISSUER } from '@/lib/provider'
import { sessions } from '@/lib/sessions'

declare module 'next-auth' {
  interface Session {
    sub: string
    sid: string
  }
}

export const { handlers, auth, signIn, signOut } = NextAuth({
  providers: [
    {
      id: 'larder',
      name: 'Larder',
      type: 'oidc',
      issuer: ISSUER, // Auth.js takes AUTH_LARDER_ID and AUTH_LARDER_SECRET from the environment by itself
      checks: ['pkce', 'state', 'nonce'],
      idToken: false, // name and email are at userinfo; the ID token is verified all the same
      authorization: {
        params: {
          // Without offline_access the tokens end when the person signs out, which is what a web app wants.
          scope: 'openid profile email family:read family:write lists:read lists:write',
          // The API that the access token is for (RFC 8707).
          resource: API,
        },
      },
    },
  ],
  session: { strategy: 'jwt' },
  callbacks: {
    async jwt({ token, account, profile }) {
      if (account && profile) {
        const sid = String(decodeJwt(account.id_token!).sid)
        const sub = String(profile.sub)
        await sessions.open(sid, {
          sub,
          idToken: account.id_token!,
          accessToken: account.access_token!,
          refreshToken: account.refresh_token!,
          expiresAt: account.expires_at! * 1000,
        })
        return { name: token.name, email: token.email, sub, sid }
      }
      // Signed out elsewhere: the cookie is worth nothing any more, and null makes Auth.js drop it.
      return (await sessions.get(String(token.sid))) ? token : null
    },
    // What this returns can be read in the browser at /api/auth/session, so no token may be in it.
    session({ session, token }) {
      return Object.assign(session, { sub: String(token.sub), sid: String(token.sid) })
    },
  },
})
