import assert from 'node:assert/strict';
import { NamedTable } from './named-table.ts';

interface Thing {
  readonly id: number;
  name: string;
}

function fill(table: NamedTable<Thing>, ...names: string[]): void {
  for (const name of names) table.add({ id: table.idNext, name });
}

describe('NamedTable', () => {
  it('gives the lowest free id, from 0 on', () => {
    const table: NamedTable<Thing> = new NamedTable({ reusesIds: true });
    fill(table, 'a', 'b', 'c', 'd');
    table.delete(table.byName('a')!);
    table.delete(table.byName('c')!);
    assert.equal(table.idNext, 0);
    fill(table, 'e');
    assert.equal(table.byName('e')!.id, 0);
    assert.equal(table.idNext, 2);
    fill(table, 'f');
    assert.equal(table.idNext, 4);
    table.checkInvariants();
  });

  it('never gives an id twice when its ids only grow', () => {
    const table: NamedTable<Thing> = new NamedTable({ reusesIds: false });
    fill(table, 'a', 'b');
    table.delete(table.byName('b')!);
    assert.equal(table.idNext, 2);
    table.checkInvariants();
  });

  it('finds a renamed thing under its new name only', () => {
    const table: NamedTable<Thing> = new NamedTable({ reusesIds: true });
    fill(table, 'a', 'b');
    table.rename(table.get(0)!, 'c');
    table.rename(table.get(1)!, 'b');
    assert.equal(table.byName('a'), null);
    assert.equal(table.find({ kind: 'name', name: 'c' })?.id, 0);
    assert.equal(table.find({ kind: 'name', name: 'b' })?.id, 1);
    assert.throws(() => table.rename(table.get(0)!, 'b'), assert.AssertionError);
  });

  it('does not take a name of digits for an id', () => {
    const table: NamedTable<Thing> = new NamedTable({ reusesIds: true });
    fill(table, '1', '0');
    assert.equal(table.find({ kind: 'name', name: '1' })?.id, 0);
    assert.equal(table.find({ kind: 'id', id: 1 })?.name, '0');
  });

  it('lists by id, also after changes', () => {
    const table: NamedTable<Thing> = new NamedTable({ reusesIds: true });
    fill(table, 'a', 'b', 'c');
    assert.deepEqual(
      table.list().map(({ id }) => id),
      [0, 1, 2],
    );
    table.delete(table.get(0)!);
    fill(table, 'd');
    assert.deepEqual(
      table.list().map(({ name }) => name),
      ['d', 'b', 'c'],
    );
  });
});
