/* Which sections answer a question? MiniSearch ranks them; what is said here is what counts as a
   word, what a reader's words mean in the book's, and what a pasted message is without its noise. */
(function () {
  "use strict";

  const FIELDS = ["title", "asked", "message", "text", "code", "output", "chapter"];
  const PAIRED = new Set(["title", "asked", "message"]); // fields in which neighbours count, too
  const BOOST = {title: 4, asked: 4, message: 1, text: 1.5, code: 0.6, output: 0.5, chapter: 1};
  const MOST_MARKS = 12;
  const HAN = /\p{Script=Han}/u;
  const LETTER = String.raw`(?:(?!\p{Script=Han})[\p{L}_])`;
  const WORD = new RegExp(String.raw`\p{Script=Han}+|(?<![\p{L}\p{N}_.)\]])[-−]?\d+(?:\.\d+)?(?:e[-−+]?\d+)?` +
    `|${LETTER}(?:${LETTER}|\\d)*` + String.raw`|\d+(?:\.\d+)?`, "gu");
  const PART = /\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\d+/gu;

  // What surrounds a message: files and lines, blocks and threads, where torch was built.
  const NOISE = [
    /\bFile "[^"]*"/g,
    /"?(?:[A-Za-z]:)?(?:[\w.@~+-]*[\\/])+[\w.+-]*\.(?:py|cu|cuh|cpp|h|ipynb)\b"?(?::\d+)?/g,
    /,? ?\bline \d+(?:, in \S+)?/g,
    /\b(?:block|thread): \[[\d, ]*\],?/g,
    /<ipython-input\S*/g,
    /\b0x[\da-f]+/gi,
  ];

  function clean(text) {
    text = text.normalize("NFKC").replace(/[‘’]/g, "'");
    for (const noise of NOISE) text = text.replace(noise, " ");
    return text;
  }

  /* Endings that say nothing: logits, labelled, decreasing, standardize. */
  function stem(word) {
    if (word.length < 4) return word;
    word = word.replace(/i[sz](e[sd]?|ing|ation)$/, "is");
    if (/[^aiosu]s$/.test(word)) word = word.replace(/ies$/, "y").replace(/(?<=x|ch|sh|ss)es$|s$/, "");
    const root = word.replace(/(?:ing|ed)$/, "");
    if (root.length > 2 && root !== word && /[aeiouy]/.test(root))
      word = root.length > 4 ? root.replace(/([^s])\1$/, "$1") : root;
    return word.length > 3 ? word.replace(/e$/, "") : word;
  }

  const number = (text) => String(Number(text.replace("−", "-")));

  /* The words of a text as {term, kind, at, end}: kind is "word", "whole" for an identifier of several
     parts, "pair" for two neighbours written as one, "number" or "han". */
  function analyse(text, stop, paired) {
    const found = [];
    let last = null;
    const add = (term, kind, at, length) => found.push({term, kind, at, end: at + length});
    const follow = (part, at, glued) => {
      const term = stem(part);
      if (stop.has(part) || stop.has(term)) return;
      add(term, "word", at, part.length);
      if (last && (paired || glued)) add(last + term, "pair", at, part.length);
      last = term;
    };
    for (const match of text.matchAll(WORD)) {
      const [word] = match, at = match.index;
      if (HAN.test(word)) {
        const signs = [...word];
        if (signs.length === 1) add(word, "han", at, 1);
        for (let i = 0; i + 1 < signs.length; i++) add(signs[i] + signs[i + 1], "han", at + i, 2);
        last = null;
      } else if (/^[-−\d]/.test(word)) {
        add(number(word), "number", at, word.length);
      } else {
        const parts = word.match(PART) || [];
        const glued = at > 0 && /[-_]/.test(text[at - 1]);
        if (parts.length > 1) add(word.toLowerCase(), "whole", at, word.length);
        parts.forEach((part, i) => {
          if (/^\d/.test(part)) return;
          follow(part.toLowerCase(), at + word.indexOf(part), glued || i > 0);
        });
      }
    }
    return found;
  }

  /* A decimal number stands for those that round to it, or that it rounds to. */
  function alike(one, other) {
    const places = (text) => (text.split(".")[1] || "").length;
    const digits = Math.min(places(one), places(other));
    if (digits < 2 || Math.sign(one) !== Math.sign(other)) return false;
    return Math.abs(one - other) <= 0.51 * 10 ** -digits;
  }

  /* Is it ln K for a number of classes? By chance so many digits rarely are. */
  function logOfClasses(text) {
    const value = Number(text), digits = (text.split(".")[1] || "").length;
    const classes = Math.round(Math.exp(value));
    if (classes < 2 || classes > 1e6 || digits < 2) return 0;
    const chance = 2 * classes * 10 ** -digits;
    return Math.abs(value - Math.log(classes)) < 0.6 * 10 ** -digits && chance < 0.1 ? classes : 0;
  }

  const sum = (values) => [...values].reduce((one, other) => one + other, 0);

  /* A numbered heading is a message, and is judged as one. */
  const isMessage = ({title}) => /^\d+\. /.test(title);

  function fieldOf(entry, field) {
    if (field === "title" && isMessage(entry)) return "";
    if (field === "message" && isMessage(entry)) return [entry.title, entry.message, entry.also].join("\n");
    if (field === "asked") return entry.asked + "\n" + entry.also;
    return entry[field];
  }

  class Finder {
    constructor(index, MiniSearch) {
      const {words, entries, questions} = index;
      this.questions = questions;
      this.stop = new Set([...words.stop, ...words.stop.map(stem)]);
      this.silent = new RegExp(words.silent.join("|"), "g");
      this.means = Object.entries(words.means).flatMap(([meant, said]) =>
        said.map((phrase) => ({
          said: HAN.test(phrase) ? phrase.toLowerCase() : this.key(phrase), meant})));
      this.entries = entries.map((entry, id) => {
        const [title, chapter, address, text, code, output, message, asked, also, practice] = entry;
        return {id, title, chapter, address, text, code, output, message, asked, also, practice};
      });
      this.numbers = [];
      const known = (this.known = new Map()); // each term, and in how many fields it stands
      this.engine = new MiniSearch({
        fields: FIELDS,
        extractField: fieldOf,
        tokenize: (content, field) => {
          const found = analyse(clean(content), this.stop, PAIRED.has(field)).map(({term}) => term);
          for (const term of new Set(found)) known.set(term, (known.get(term) || 0) + 1);
          return found;
        },
        processTerm: (term) => term,
        searchOptions: {
          boost: BOOST,
          boostDocument: (id) => this.weight(this.entries[id], words.weights),
          processTerm: (term) => term,
          bm25: {k: 1.2, b: 0.6, d: 0.4},
        },
      });
      this.engine.addAll(this.entries);
      this.messages = this.entries.filter(isMessage).flatMap((entry) =>
        fieldOf(entry, "message").split("\n").map((line) => {
          const terms = this.worth(line);
          return {id: entry.id, terms, own: sum(terms.values())};
        }));
      this.numbers = [...known.keys()].filter((term) => /^-?\d+\.\d+$/.test(term));
    }

    /* What is said in passing or practised counts less than what is explained. */
    weight(entry, weights) {
      let weight = entry.practice ? weights.Exercises : 1;
      for (const [where, factor] of Object.entries(weights))
        if (entry.address.startsWith(where) || entry.title === where) weight *= factor;
      return weight;
    }

    /* The words of a message and their neighbours, each with how much it says. */
    worth(text) {
      const found = new Map();
      for (const {term, kind} of analyse(clean(text), this.stop, true))
        found.set(term, kind === "number" && !term.startsWith("-") ? 0.1
          : Math.log(1 + this.entries.length / (this.known.get(term) || 1)));
      return found;
    }

    /* The messages that a question quotes, in the main or in part, with how much of them. */
    quoted(query) {
      const asked = this.worth(query);
      const whole = sum(asked.values());
      const most = new Map();
      for (const {id, terms, own} of this.messages) {
        let both = 0;
        for (const [term, worth] of terms) if (asked.has(term)) both += worth;
        const share = Math.max(both / own, asked.size > 4 ? (0.9 * both) / whole : 0);
        if (share > 0.6 && both > 12) most.set(id, Math.max(share * both, most.get(id) || 0));
      }
      return most;
    }

    /* Whether a word tells sections apart: 1 where few have it, less where most have. */
    rarity(term) {
      const count = Math.max(this.known.get(term) || 0, 4);
      return Math.max(0.1, Math.min(1, Math.log(this.entries.length / count) / 4));
    }

    key(text) {
      return ` ${analyse(text, this.stop, false).filter(({kind}) => kind !== "pair" && kind !== "whole")
        .map(({term}) => term).join(" ")} `;
    }

    /* The terms of a question and the weight of each. */
    terms(query) {
      const text = clean(query).replace(this.silent, " ");
      const weights = new Map();
      const add = (term, weight) => weights.set(term, Math.max(weight, weights.get(term) || 0));
      const found = analyse(text, this.stop, true);
      const wholes = found.filter(({kind}) => kind === "whole");
      const within = (place) => wholes.some(({at, end}) => at <= place && place < end);
      for (const {term, kind, at} of found) {
        if (kind === "number") this.addNumber(term, text, add);
        else if (kind === "pair") this.known.has(term) && add(term, within(at) ? 0.2 : 0.5);
        else if (kind === "word") add(term, within(at) ? 0.4 : 1);
        else if (kind === "whole") add(term, 1);
        else add(term, 0.4);
      }
      const plain = this.key(text), lower = text.toLowerCase();
      for (const {said, meant} of this.means) {
        if (!(HAN.test(said) ? lower.includes(said) : plain.includes(said))) continue;
        for (const {term, kind} of analyse(meant, this.stop, true))
          if (kind !== "pair" || this.known.has(term)) add(term, kind === "pair" ? 0.6 : 0.7);
      }
      return weights;
    }

    addNumber(term, text, add) {
      add(term, 1);
      for (const other of this.numbers) if (other !== term && alike(term, other)) add(other, 0.9);
      if (logOfClasses(term)) add("ln_k", 1.5);
      if (/^-\d*\.\d/.test(term) && /loss|损失/i.test(text)) add("negativ", 1);
    }

    /* The sections that answer a question, best first; the nearest where none has its words. */
    find(query, count = 12) {
      const weights = this.terms(query);
      const quoted = this.quoted(query);
      const exact = this.rank(weights, quoted, false);
      const results = exact.length ? exact : this.rank(weights, quoted, true);
      return {near: !exact.length, results: results.slice(0, count).map((one) => this.shown(one))};
    }

    rank(weights, quoted, loose) {
      const unknown = (term) => !this.known.has(term) && !/^-?\d|\p{Script=Han}/u.test(term);
      const fuzzy = (term) =>
        unknown(term) && term.length > 3 && (loose ? 0.4 : term.length > 7 ? 2 : 1);
      const last = [...weights.keys()].pop();
      const prefix = (term) =>
        term.length > (loose || term === last ? 1 : 3) && !/^-?\d+$/.test(term);
      let total = 0;
      for (const [term, weight] of weights) total += weight * this.rarity(term);
      return this.engine
        .search("?", {
          tokenize: () => [...weights.keys()],
          boostTerm: (term) => weights.get(term) * this.rarity(term),
          fuzzy,
          prefix,
          weights: {fuzzy: 0.5, prefix: 0.35},
        })
        .map((result) => {
          let covered = 0;
          for (const term of result.queryTerms) covered += weights.get(term) * this.rarity(term);
          const score = (result.score / result.queryTerms.length) * (0.25 + covered / total);
          const said = 1000 * (quoted.get(result.id) || 0);
          return {entry: this.entries[result.id], score: said + score, terms: result.terms};
        })
        .sort((one, other) => other.score - one.score);
    }

    shown({entry, score, terms}) {
      const {title, chapter, address} = entry;
      const sentence = this.sentence(entry, new Set(terms));
      return {title, chapter, address, score, sentence, marks: this.marks(entry, terms)};
    }

    /* The terms to be marked in a section: those that it has, and not those that most have. */
    marks(entry, terms) {
      const texts = FIELDS.map((field) => entry[field]).join("\n");
      const there = [...new Set(hitsIn(texts, new Set(terms)).map(({term}) => term))];
      const telling = there.filter((term) => this.known.get(term) < this.entries.length / 3);
      return (telling.length ? telling : there).slice(0, MOST_MARKS);
    }

    /* The sentence of a section that says most of what was asked, its first where none does. */
    sentence(entry, terms) {
      const answers = entry.asked.split("\n").filter((line) => line.includes(" — "));
      const sentences = entry.text.split(/(?<=[.?!:]) +|(?<=[。？！])|\n/).filter(Boolean);
      sentences.push(...answers);
      let best = sentences[0] || entry.code || entry.output, most = 0;
      if (isMessage(entry)) return best; // what it means, not the message once more
      for (const sentence of sentences) {
        const hits = new Set(hitsIn(sentence, terms).map(({term}) => term));
        const worth = hits.size / Math.sqrt(40 + sentence.length);
        if (worth > most) [best, most] = [sentence, worth];
      }
      return best.length > 240 ? best.slice(0, 239).replace(/\s+\S*$/, "") + " …" : best;
    }
  }

  const NONE = new Set();

  /* Where a text has one of these terms. */
  function hitsIn(text, terms) {
    return analyse(text, NONE, false).filter(({term}) => terms.has(term));
  }

  window.bookFinder = {Finder, hitsIn};
})();
