import assert from 'node:assert/strict';
import { type FlightPlace, Flights } from './flights.ts';

const ALICE = 'a'.repeat(32);
const BOB = 'b'.repeat(32);

function at(uuid: string, groupId: number, purge = 0): FlightPlace {
  return { uuid, groupId, purge };
}

describe('flights of a consumer group', () => {
  it('counts a partition as in flight while a poll reads and until the served offset is stored', () => {
    const flights = new Flights();
    assert.equal(flights.isInFlight(at('p', 0), ALICE, null), false);
    const flight = flights.begin(at('p', 0), ALICE);
    assert.equal(flights.isInFlight(at('p', 0), ALICE, null), true);
    flights.end(flight, 9);
    assert.equal(flights.isInFlight(at('p', 0), ALICE, null), true);
    assert.equal(flights.isInFlight(at('p', 0), ALICE, 8), true);
    assert.equal(flights.isInFlight(at('p', 0), ALICE, 9), false);
  });

  it('lets go of a partition when a read found nothing', () => {
    const flights = new Flights();
    flights.end(flights.begin(at('p', 0), ALICE), -1);
    assert.equal(flights.isInFlight(at('p', 0), ALICE, null), false);
    flights.settle(at('p', 0), null);
    assert.equal(flights.size, 0);
  });

  it('forgets the marks of another member, and a read of it that ends late changes nothing', () => {
    const flights = new Flights();
    const old = flights.begin(at('p', 0), ALICE);
    const now = flights.begin(at('p', 0), BOB);
    flights.end(old, 50);
    flights.end(now, 3);
    assert.equal(flights.isInFlight(at('p', 0), ALICE, null), false);
    assert.equal(flights.isInFlight(at('p', 0), BOB, 2), true);
    assert.equal(flights.isInFlight(at('p', 0), BOB, 3), false);
  });

  it('keeps the highest offset that was served, whatever the order of the polls', () => {
    const flights = new Flights();
    flights.end(flights.begin(at('p', 0), ALICE), 9);
    flights.end(flights.begin(at('p', 0), ALICE), 4);
    assert.equal(flights.isInFlight(at('p', 0), ALICE, 5), true);
  });

  it('forgets what was served before a purge', () => {
    const flights = new Flights();
    flights.end(flights.begin(at('p', 0), ALICE), 9);
    assert.equal(flights.isInFlight(at('p', 0, 1), ALICE, null), false);
    flights.end(flights.begin(at('p', 0, 1), ALICE), 0);
    assert.equal(flights.isInFlight(at('p', 0, 1), ALICE, null), true);
    assert.equal(flights.isInFlight(at('p', 0, 1), ALICE, 0), false);
  });

  it('keeps groups and partitions apart', () => {
    const flights = new Flights();
    flights.end(flights.begin(at('p', 0), ALICE), 9);
    assert.equal(flights.isInFlight(at('p', 1), ALICE, null), false);
    assert.equal(flights.isInFlight(at('q', 0), ALICE, null), false);
  });

  it('settles a mark only when nothing is in flight', () => {
    const flights = new Flights();
    flights.end(flights.begin(at('p', 0), ALICE), 9);
    flights.settle(at('p', 0), 8);
    assert.equal(flights.size, 1);
    flights.settle(at('p', 0), 9);
    assert.equal(flights.size, 0);
  });

  it('forgets groups and partitions that are gone', () => {
    const flights = new Flights();
    flights.end(flights.begin(at('p', 0), ALICE), 9);
    flights.end(flights.begin(at('p', 1), ALICE), 9);
    flights.end(flights.begin(at('q', 0), ALICE), 9);
    flights.forgetGroup('p', 0);
    assert.equal(flights.size, 2);
    flights.forgetPartition('p');
    flights.forgetPartition('q');
    assert.equal(flights.size, 0);
  });
});
