import { places, type Place } from '../scripts/demo/places.ts';

const text = 'the quick brown fox jumps over the lazy dog while the city sleeps; '.repeat(16);

/** Real places, filled up with text to at least so many bytes a document (at most a kilobyte more than they have). */
export function* filledPlaces(count: number, documentBytes: number): Generator<Place> {
  for (const { id, source } of places(count)) {
    const missing = documentBytes - source.length - ',"about":""'.length;
    yield { id, source: missing > 0 ? `${source.slice(0, -1)},"about":"${text.slice(0, missing)}"}` : source };
  }
}
