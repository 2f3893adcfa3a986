const startDocuments = 500;
const growthMax = 4;
/** How much larger than wanted an answer may be before it is broken off: documents differ in size. */
const answerSlack = 4;

/** How many documents to ask for, so that a page has about the bytes wanted. Learns from every answer. */
export class PageSize {
  readonly #bytesWanted: number;
  readonly #documentsMax: number;
  #documents: number;

  constructor(bytesWanted: number, documentsMax: number) {
    this.#bytesWanted = bytesWanted;
    this.#documentsMax = documentsMax;
    this.#documents = Math.min(startDocuments, documentsMax);
  }

  get documents(): number {
    return this.#documents;
  }

  get responseBytesMax(): number {
    return this.#bytesWanted * answerSlack;
  }

  /** An answer of so many bytes held so many documents. */
  learn(documents: number, bytes: number): void {
    // A few documents say little about the next thousand.
    if (documents === 0 || documents < this.#documents / 2) return;
    const fitting = Math.floor((this.#bytesWanted * documents) / bytes);
    this.#documents = Math.max(1, Math.min(this.#documentsMax, fitting, this.#documents * growthMax));
  }

  /** An answer for `documents` was too large. */
  halve(documents: number): void {
    this.#documents = Math.max(1, Math.floor(documents / 2));
  }
}
