'use client'
import { useRouter } from 'next/navigation'
import { useEffect } from 'react'

/** A tab that comes to the front shows what is so now: others' changes, and that one has signed out elsewhere. */
export function RefreshOnFocus() {
  const router = useRouter()
  useEffect(() => {
    const look = () => document.visibilityState === 'visible' && router.refresh()
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [router])
  return null
}
