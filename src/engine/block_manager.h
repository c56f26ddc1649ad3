// Hands out the blocks of the KV cache: reference counts, copy on write, and a cache of prefixes.
//
// A block that is full and computed is registered under the chain of blocks before it, while its
// sequence still runs; a later sequence with the same beginning shares it. A hit compares the
// tokens and the identity of the block before, so a collision of hashes can never mix two prompts.
// Blocks without owner keep their contents until they are needed: least recently used first.
//
// Every act has its question: can_allocate() before allocate(), can_append() before append().
// Engine thread only.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/sequence.h"

namespace tessera {

struct BlockCopy {
  int from, to;
};

class BlockManager {
 public:
  BlockManager(int blocks, int block_size, bool prefix_cache);

  int blocks() const { return count_; }
  int block_size() const { return block_size_; }
  int free_blocks() const { return free_count_; }
  int used_blocks() const { return blocks() - free_count_; }
  // Blocks that were ever used: the cache's memory that is resident.
  int touched_blocks() const { return static_cast<int>(blocks_.size()); }

  // Blocks for all of a waiting sequence's tokens, the shared prefix included; `reserve` blocks
  // stay free. allocate() sets computed and cached_tokens: at least one token is left to compute.
  bool can_allocate(Sequence& sequence, int reserve) const;
  void allocate(Sequence& sequence);

  // A block of its own for the sequence's last token: a new one, or a copy of a shared one, which
  // is then listed in `copies` (to be made in order, before the step's forward pass).
  bool can_append(const Sequence& sequence) const;
  void append(Sequence& sequence, std::vector<BlockCopy>& copies);

  // Uses blocks that other sequences have computed since allocate(); while a prompt is prefilled.
  void adopt_computed(Sequence& sequence);

  // `tokens` more tokens are in the cache: registers the blocks that became full.
  void mark_computed(Sequence& sequence, int tokens);

  // child: a sequence without blocks and the same leading tokens. Shares every block.
  void fork(const Sequence& parent, Sequence& child);

  // The sequence's blocks lose one owner; the sequence has nothing computed any more.
  void release(Sequence& sequence);

  // The hash chain up to the last full block of the sequence's tokens.
  void extend_hashes(Sequence& sequence) const;

  bool prefix_cache() const { return prefix_cache_; }

 private:
  struct Block {
    int references = 0;
    int previous = -1, next = -1;  // in the free list, when references == 0
    std::uint64_t identity = 0;    // unique for ever; 0: not registered
    std::uint64_t parent = 0;      // identity of the block before; 0 for the first
    std::uint64_t hash = 0;
  };

  int cached_block(const Sequence& sequence, int index, std::uint64_t parent) const;
  int prefix_limit(const Sequence& sequence) const;
  int take_free_block();
  void take_back(int block);  // out of the free list
  void add_reference(int block);
  void drop_reference(int block);
  void forget(int block);

  int block_size_;
  bool prefix_cache_;
  int count_;
  // Of the blocks that have ever been used; there is room for all, which so becomes resident as the
  // blocks themselves do.
  std::vector<Block> blocks_;
  std::vector<std::int32_t> contents_;  // [blocks_, block_size] tokens of registered blocks
  std::unordered_map<std::uint64_t, int> by_hash_;
  int first_free_ = -1, last_free_ = -1, free_count_ = 0;  // first: used next
  std::uint64_t next_identity_ = 1;
};

}  // namespace tessera
