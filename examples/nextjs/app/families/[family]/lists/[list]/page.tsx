import { addItem, checkItem } from '@/app/actions'
import { type Item, larder, type List } from '@/lib/api'

type Params = { family: string; list: string }

export default async function ListPage({ params }: { params: Promise<Params> }) {
  const { family, list: id } = await params
  const at = `/v1/families/${family}/lists/${id}`
  const [list, { items }] = await Promise.all([
    larder<List>('GET', at), //
    larder<{ items: Item[] }>('GET', `${at}/items`),
  ])
  const where = (
    <>
      <input type="hidden" name="family" value={family} />
      <input type="hidden" name="list" value={id} />
    </>
  )
  return (
    <section>
      <h1>{list.name}</h1>
      <ul>
        {items.map((item) => (
          <li key={item.id}>
            <form action={checkItem}>
              {where}
              <input type="hidden" name="item" value={item.id} />
              <input type="hidden" name="checked" value={item.checked ? 'yes' : ''} />
              <button role="checkbox" aria-checked={item.checked}>
                {[item.quantity, item.unit, item.name].filter(Boolean).join(' ')}
              </button>
            </form>
          </li>
        ))}
      </ul>
      <form action={addItem}>
        {where}
        <input name="text" aria-label="What is missing?" placeholder="2 l milk" required maxLength={200} />
        <button>Add</button>
      </form>
    </section>
  )
}
