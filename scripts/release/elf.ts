/** Program header of a 64-bit ELF file, https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html */
type Segment = {
  type: number;
  flags: number;
  offset: number;
  address: number;
  fileBytes: number;
  memoryBytes: number;
  align: number;
};

export const segmentType = { load: 1, dynamic: 2, note: 4, gnuProperty: 0x6474e553 } as const;

const dynamicTag = {
  texts: 5,
  rela: 7,
  relaBytes: 8,
  textBytes: 10,
  runPath: 29,
  relrBytes: 35,
  relr: 36,
  relrEntry: 37,
  moreFlags: 0x6ffffffb,
  unused: 0x6ffffdef,
} as const;
const relocationRelative = 8;
/** Where the file says how many segments it has. */
const segmentsAt = 56;
const headerBytes = 56;
const page = 0x1000;

/** A 64-bit little-endian ELF file that is changed in place and grows at its end. */
export class Elf {
  #bytes: Buffer;
  readonly #headersAt: number;
  #segments: Segment[];

  constructor(bytes: Buffer) {
    if (bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1)
      throw new Error('not an ELF file of the kind that is known here');
    this.#bytes = bytes;
    this.#headersAt = Number(bytes.readBigUInt64LE(32));
    this.#segments = Array.from({ length: bytes.readUInt16LE(segmentsAt) }, (_, index) =>
      readSegment(bytes, this.#headersAt + index * headerBytes),
    );
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  /**
   * Appends bytes that are loaded read-only, and returns their address. Where the table of segments has no room, one that nothing needs at
   * run time gives its place: of the type `spare`.
   */
  append(content: Buffer, spare?: number): number {
    const offset = roundUp(this.#bytes.length, page);
    const address = roundUp(Math.max(...this.#segments.map((each) => each.address + each.memoryBytes)), 0x10000);
    const size = { fileBytes: content.length, memoryBytes: content.length };
    this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(offset - this.#bytes.length), content]);
    this.#replace(spare, { type: segmentType.load, flags: 4, offset, address, ...size, align: page });
    return address;
  }

  /** Appends a note (https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html#note_section). Takes two places of segments. */
  appendNote(name: string, content: Buffer, spares: readonly [number, number]): void {
    const title = Buffer.alloc(roundUp(name.length + 1, 4));
    title.write(name);
    const head = Buffer.alloc(12);
    head.writeUInt32LE(name.length + 1, 0);
    head.writeUInt32LE(content.length, 4);
    const note = Buffer.concat([head, title, content, Buffer.alloc(roundUp(content.length, 4) - content.length)]);
    const address = this.append(note, spares[0]);
    const size = { fileBytes: note.length, memoryBytes: note.length };
    this.#replace(spares[1], {
      type: segmentType.note,
      flags: 4,
      offset: this.#bytes.length - note.length,
      address,
      ...size,
      align: 4,
    });
  }

  /**
   * Writes relative relocations that are packed (DT_RELR) out as plain ones, which loaders of every age know: musl's does so only since
   * 1.2.4, and jumps into nowhere before. Does nothing where there are none.
   */
  unpackRelocations(spare: number): void {
    const packed = this.#dynamic(dynamicTag.relr);
    if (packed === undefined) return;
    const places = unpack(this.#slice(packed, this.#dynamic(dynamicTag.relrBytes)!));
    const plain = this.#slice(this.#dynamic(dynamicTag.rela)!, this.#dynamic(dynamicTag.relaBytes)!);
    const added = Buffer.alloc(places.length * 24);
    for (const [index, place] of places.entries()) {
      added.writeBigUInt64LE(BigInt(place), index * 24);
      added.writeBigUInt64LE(BigInt(relocationRelative), index * 24 + 8);
      this.#slice(place, 8).copy(added, index * 24 + 16);
    }
    const address = this.append(Buffer.concat([plain, added]), spare);
    this.#setDynamic(dynamicTag.rela, dynamicTag.rela, address);
    this.#setDynamic(dynamicTag.relaBytes, dynamicTag.relaBytes, plain.length + added.length);
    for (const tag of [dynamicTag.relr, dynamicTag.relrBytes, dynamicTag.relrEntry]) this.#setDynamic(tag, dynamicTag.unused, 0);
  }

  /** Makes the loader look for libraries in `path` before the system's own directories. */
  addRunPath(path: string): void {
    const texts = this.#slice(this.#dynamic(dynamicTag.texts)!, this.#dynamic(dynamicTag.textBytes)!);
    const more = Buffer.concat([texts, Buffer.from(`${path}\0`)]);
    const address = this.append(more);
    this.#setDynamic(dynamicTag.texts, dynamicTag.texts, address);
    this.#setDynamic(dynamicTag.textBytes, dynamicTag.textBytes, more.length);
    // Says once more what DT_FLAGS says, and is the one entry that can be spared.
    this.#setDynamic(dynamicTag.moreFlags, dynamicTag.runPath, texts.length);
  }

  /** Overwrites a text that stands once in the file, ended by a zero byte, by one that is not longer. */
  replaceText(before: string, after: string): void {
    const at = this.#bytes.indexOf(`${before}\0`, 0, 'latin1');
    if (at < 0 || after.length > before.length) throw new Error(`"${before}" cannot be replaced`);
    this.#bytes.fill(0, at, at + before.length).write(after, at, 'latin1');
  }

  #replace(spare: number | undefined, segment: Segment): void {
    const index = spare === undefined ? this.#segments.length : this.#segments.findIndex((each) => each.type === spare);
    if (index < 0) throw new Error(`no segment of type ${spare} to give its place`);
    if (spare === undefined && !this.#hasRoom()) throw new Error('there is no room for another segment');
    // Some kernels take the last segment that is loaded for the one with the highest address.
    this.#segments = [...this.#segments.toSpliced(index, 1), segment];
    this.#bytes.writeUInt16LE(this.#segments.length, segmentsAt);
    for (const [at, each] of this.#segments.entries()) writeSegment(this.#bytes, this.#headersAt + at * headerBytes, each);
  }

  /** True where somebody has moved the table into a segment of its own, and that is not full. */
  #hasRoom(): boolean {
    const home = this.#segments.find(({ type, offset }) => type === segmentType.load && offset === this.#headersAt);
    return home !== undefined && (this.#segments.length + 1) * headerBytes <= home.fileBytes;
  }

  /** The bytes at an address, as a view of the file. */
  #slice(address: number, length: number): Buffer {
    const home = this.#segments.find(
      (each) => each.type === segmentType.load && each.address <= address && address + length <= each.address + each.fileBytes,
    );
    if (home === undefined) throw new Error(`nothing of the file is loaded at ${address}`);
    const offset = home.offset + address - home.address;
    return this.#bytes.subarray(offset, offset + length);
  }

  #dynamic(tag: number): number | undefined {
    const at = this.#dynamicAt(tag);
    return at === undefined ? undefined : Number(this.#bytes.readBigUInt64LE(at + 8));
  }

  #setDynamic(tag: number, tagAfter: number, value: number): void {
    const at = this.#dynamicAt(tag);
    if (at === undefined) return;
    this.#bytes.writeBigUInt64LE(BigInt(tagAfter), at);
    this.#bytes.writeBigUInt64LE(BigInt(value), at + 8);
  }

  #dynamicAt(tag: number): number | undefined {
    const { offset, fileBytes } = this.#segments.find((each) => each.type === segmentType.dynamic)!;
    for (let at = offset; at < offset + fileBytes; at += 16) if (this.#bytes.readBigUInt64LE(at) === BigInt(tag)) return at;
    return undefined;
  }
}

/** An even word is a place; an odd one is a map of the 63 places behind the last. https://sourceware.org/gnu-gabi/program-loading-and-dynamic-linking.txt */
function unpack(words: Buffer): number[] {
  const places: number[] = [];
  let next = 0;
  for (let at = 0; at < words.length; at += 8) {
    const word = words.readBigUInt64LE(at);
    if ((word & 1n) === 0n) {
      places.push(Number(word));
      next = Number(word) + 8;
    } else {
      for (let bit = 0; bit < 63; bit++) if ((word >> BigInt(bit + 1)) & 1n) places.push(next + bit * 8);
      next += 63 * 8;
    }
  }
  return places;
}

function readSegment(bytes: Buffer, at: number): Segment {
  const long = (offset: number): number => Number(bytes.readBigUInt64LE(at + offset));
  return {
    type: bytes.readUInt32LE(at),
    flags: bytes.readUInt32LE(at + 4),
    offset: long(8),
    address: long(16),
    fileBytes: long(32),
    memoryBytes: long(40),
    align: long(48),
  };
}

function writeSegment(bytes: Buffer, at: number, { type, flags, offset, address, fileBytes, memoryBytes, align }: Segment): void {
  bytes.writeUInt32LE(type, at);
  bytes.writeUInt32LE(flags, at + 4);
  for (const [index, value] of [offset, address, address, fileBytes, memoryBytes, align].entries())
    bytes.writeBigUInt64LE(BigInt(value), at + 8 + index * 8);
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
