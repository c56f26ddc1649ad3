#include "engine/block_manager.h"

#include <algorithm>
#include <cassert>

namespace tessera {
namespace {

// The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

BlockManager::BlockManager(int blocks, int block_size, bool prefix_cache)
    : block_size_(block_size), prefix_cache_(prefix_cache), count_(blocks), free_count_(blocks) {
  blocks_.reserve(static_cast<std::size_t>(blocks));
  contents_.reserve(static_cast<std::size_t>(blocks) * static_cast<std::size_t>(block_size));
}

void BlockManager::extend_hashes(Sequence& sequence) const {
  const int full = sequence.size() / block_size_;
  for (int i = static_cast<int>(sequence.block_hashes.size()); i < full; ++i) {
    std::uint64_t hash = i == 0 ? 0 : sequence.block_hashes[i - 1];
    for (int j = 0; j < block_size_; ++j) {
      hash = mix(hash ^ static_cast<std::uint32_t>(sequence.tokens[i * block_size_ + j]));
    }
    sequence.block_hashes.push_back(hash);
  }
}

// The last token is always computed: its logits are what the request came for.
int BlockManager::prefix_limit(const Sequence& sequence) const {
  if (!prefix_cache_ || !sequence.may_use_prefix_cache) return 0;
  return (sequence.size() - 1) / block_size_;
}

int BlockManager::cached_block(const Sequence& sequence, int index, std::uint64_t parent) const {
  const auto found = by_hash_.find(sequence.block_hashes[index]);
  if (found == by_hash_.end()) return -1;
  const Block& block = blocks_[found->second];
  if (block.parent != parent) return -1;
  const auto tokens = contents_.begin() + std::ptrdiff_t{found->second} * block_size_;
  return std::equal(tokens, tokens + block_size_,
                    sequence.tokens.begin() + std::ptrdiff_t{index} * block_size_)
             ? found->second
             : -1;
}

bool BlockManager::can_allocate(Sequence& sequence, int reserve) const {
  const int total = (sequence.size() + block_size_ - 1) / block_size_;
  int needed = total;
  if (needed + reserve > free_count_) {
    // Shared blocks that have an owner cost nothing; those without are in free_count_.
    const int limit = prefix_limit(sequence);
    if (limit > 0) extend_hashes(sequence);
    std::uint64_t parent = 0;
    for (int i = 0; i < limit; ++i) {
      const int block = cached_block(sequence, i, parent);
      if (block < 0) break;
      parent = blocks_[block].identity;
      if (blocks_[block].references > 0) --needed;
    }
  }
  return needed + reserve <= free_count_;
}

void BlockManager::allocate(Sequence& sequence) {
  assert(sequence.block_table.empty() && sequence.computed == 0);
  const int total = (sequence.size() + block_size_ - 1) / block_size_;
  const int limit = prefix_limit(sequence);
  if (prefix_cache_) extend_hashes(sequence);
  sequence.registered = 0;
  sequence.chain = 0;
  for (int i = 0; i < limit; ++i) {
    const int block = cached_block(sequence, i, sequence.chain);
    if (block < 0) break;
    add_reference(block);
    sequence.block_table.push_back(block);
    sequence.chain = blocks_[block].identity;
    sequence.registered = i + 1;
  }
  sequence.computed = sequence.registered * block_size_;
  sequence.cached_tokens = sequence.computed;
  while (static_cast<int>(sequence.block_table.size()) < total) {
    sequence.block_table.push_back(take_free_block());
  }
}

bool BlockManager::can_append(const Sequence& sequence) const {
  const int index = (sequence.size() - 1) / block_size_;
  if (index < static_cast<int>(sequence.block_table.size()) &&
      blocks_[sequence.block_table[index]].references == 1) {
    return true;
  }
  return free_count_ > 0;
}

void BlockManager::append(Sequence& sequence, std::vector<BlockCopy>& copies) {
  const int index = (sequence.size() - 1) / block_size_;
  if (index == static_cast<int>(sequence.block_table.size())) {
    sequence.block_table.push_back(take_free_block());
    return;
  }
  const int shared = sequence.block_table[index];
  if (blocks_[shared].references == 1) return;
  const int own = take_free_block();
  copies.push_back({shared, own});
  drop_reference(shared);
  sequence.block_table[index] = own;
}

void BlockManager::adopt_computed(Sequence& sequence) {
  const int limit = prefix_limit(sequence);
  while (sequence.computed == sequence.registered * block_size_ && sequence.registered < limit) {
    const int index = sequence.registered;
    const int block = cached_block(sequence, index, sequence.chain);
    if (block < 0) return;
    const int own = sequence.block_table[index];
    if (block != own) {
      add_reference(block);
      drop_reference(own);
      sequence.block_table[index] = block;
    }
    sequence.chain = blocks_[block].identity;
    ++sequence.registered;
    sequence.computed += block_size_;
    sequence.cached_tokens += block_size_;
  }
}

void BlockManager::mark_computed(Sequence& sequence, int tokens) {
  sequence.computed += tokens;
  if (!prefix_cache_) return;
  const int full = sequence.computed / block_size_;
  if (sequence.registered >= full) return;
  extend_hashes(sequence);
  for (; sequence.registered < full; ++sequence.registered) {
    const int index = sequence.registered;
    const int known = cached_block(sequence, index, sequence.chain);
    if (known >= 0) {  // computed twice; the first one stays in the cache
      sequence.chain = blocks_[known].identity;
      continue;
    }
    const int own = sequence.block_table[index];
    const std::uint64_t hash = sequence.block_hashes[index];
    // An entry of the same hash with other contents or another parent gives way: it is older.
    if (const auto other = by_hash_.find(hash); other != by_hash_.end()) forget(other->second);
    if (blocks_[own].identity != 0) forget(own);
    Block& block = blocks_[own];
    block.hash = hash;
    block.parent = sequence.chain;
    block.identity = next_identity_++;
    by_hash_[hash] = own;
    std::copy_n(sequence.tokens.begin() + std::ptrdiff_t{index} * block_size_, block_size_,
                contents_.begin() + std::ptrdiff_t{own} * block_size_);
    sequence.chain = block.identity;
  }
}

void BlockManager::fork(const Sequence& parent, Sequence& child) {
  assert(child.block_table.empty());
  child.block_table = parent.block_table;
  for (int block : child.block_table) add_reference(block);
  child.computed = parent.computed;
  child.cached_tokens = parent.cached_tokens;
  child.block_hashes = parent.block_hashes;
  child.registered = parent.registered;
  child.chain = parent.chain;
}

void BlockManager::release(Sequence& sequence) {
  // Last block first, so that the end of a prefix is given up before its beginning.
  for (auto block = sequence.block_table.rbegin(); block != sequence.block_table.rend(); ++block) {
    drop_reference(*block);
  }
  sequence.block_table.clear();
  sequence.computed = 0;
  sequence.registered = 0;
  sequence.chain = 0;
}

int BlockManager::take_free_block() {
  // What no prefix hangs on comes first, then what was never used, then what is cached.
  const bool is_cached = first_free_ < 0 || blocks_[first_free_].identity != 0;
  if (is_cached && static_cast<int>(blocks_.size()) < count_) {
    blocks_.emplace_back().references = 1;
    contents_.resize(contents_.size() + static_cast<std::size_t>(block_size_));
    --free_count_;
    return static_cast<int>(blocks_.size()) - 1;
  }
  const int block = first_free_;
  assert(block >= 0);
  take_back(block);
  if (blocks_[block].identity != 0) forget(block);
  blocks_[block].references = 1;
  return block;
}

void BlockManager::take_back(int index) {
  Block& block = blocks_[index];
  (block.previous >= 0 ? blocks_[block.previous].next : first_free_) = block.next;
  (block.next >= 0 ? blocks_[block.next].previous : last_free_) = block.previous;
  block.previous = block.next = -1;
  --free_count_;
}

void BlockManager::add_reference(int block) {
  if (blocks_[block].references++ == 0) take_back(block);
}

void BlockManager::drop_reference(int index) {
  Block& block = blocks_[index];
  assert(block.references > 0);
  if (--block.references > 0) return;
  if (block.identity != 0) {  // worth keeping: to the end of the list
    block.previous = last_free_;
    (last_free_ >= 0 ? blocks_[last_free_].next : first_free_) = index;
    last_free_ = index;
  } else {
    block.next = first_free_;
    (first_free_ >= 0 ? blocks_[first_free_].previous : last_free_) = index;
    first_free_ = index;
  }
  ++free_count_;
}

void BlockManager::forget(int index) {
  Block& block = blocks_[index];
  const auto found = by_hash_.find(block.hash);
  if (found != by_hash_.end() && found->second == index) by_hash_.erase(found);
  block.identity = 0;
  block.parent = 0;
  block.hash = 0;
}

}  // namespace tessera
