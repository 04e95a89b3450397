#include "scanner/git/shared_tree.hpp"

#include <algorithm>
#include <cstring>

namespace hubgate::git {
namespace {

/// Smaller trees are parsed faster than compared.
constexpr std::size_t k_worth = 1024;
/// Larger ones are not kept as bytes.
constexpr std::size_t k_kept = std::size_t{4} << 20;
constexpr std::size_t k_recent = 4;
/// Bytes that are compared at once.
constexpr std::size_t k_word = 64;
/// A tree of more pieces is parsed as a whole again.
constexpr std::size_t k_runs = 64;
/// New entries that are compared with each of the others.
constexpr std::size_t k_compared = 16;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool same_but_for_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

// How many bytes of both, from the front, are the same.
std::size_t same_in_front(std::string_view a, std::string_view b) {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t at = 0;
  for (; most - at >= k_word; at += k_word)
    if (std::memcmp(a.data() + at, b.data() + at, k_word) != 0) break;
  while (at < most && a[at] == b[at])
    ++at;
  return at;
}

// The same from the back.
std::size_t same_behind(std::string_view a, std::string_view b) {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t n = 0;
  for (; most - n >= k_word; n += k_word)
    if (std::memcmp(a.data() + a.size() - n - k_word, b.data() + b.size() - n - k_word, k_word) !=
        0)
      break;
  while (n < most && a[a.size() - 1 - n] == b[b.size() - 1 - n])
    ++n;
  return n;
}

std::size_t length_of(const TreeEntry& entry, std::string_view bytes, std::size_t at) {
  const auto name = static_cast<std::size_t>(entry.name.data() - bytes.data());
  return name + entry.name.size() + 1 + entry.oid.size - at;
}

// Adds entries [begin, end) of what the runs hold together.
void append(std::vector<SharedTree::Run>& to, const std::vector<SharedTree::Run>& from,
            std::size_t begin, std::size_t end) {
  std::size_t at = 0;
  for (const auto& run: from) {
    const std::size_t size = run.end - run.begin;
    const std::size_t first = std::max(begin, at);
    const std::size_t last = std::min(end, at + size);
    if (first < last) {
      const std::size_t run_begin = run.begin + (first - at);
      const std::size_t run_end = run.begin + (last - at);
      if (!to.empty() && to.back().chunk == run.chunk && to.back().end == run_begin)
        to.back().end = run_end;
      else
        to.push_back({run.chunk, run_begin, run_end});
    }
    at += size;
  }
}

// Whether entries that are clean by themselves are so together: `fresh` are those of one run.
bool clean_together(const std::vector<SharedTree::Run>& runs, const SharedTree::Chunk* fresh) {
  for (std::size_t i = 1; i < runs.size(); ++i)
    if (!comes_before(runs[i - 1].chunk->entries[runs[i - 1].end - 1],
                      runs[i].chunk->entries[runs[i].begin]))
      return false;
  if (fresh == nullptr) return true;
  if (fresh->entries.size() > k_compared) return false;
  for (const auto& run: runs) {
    if (run.chunk.get() == fresh) continue;
    for (std::size_t i = run.begin; i < run.end; ++i)
      for (const TreeEntry& entry: fresh->entries)
        if (same_but_for_case(entry.name, run.chunk->entries[i].name)) return false;
  }
  return true;
}

} // namespace

std::vector<TreeEntry> SharedTree::entries() const {
  std::vector<TreeEntry> out;
  for (const Run& run: runs_)
    out.insert(out.end(), run.chunk->entries.begin() + static_cast<std::ptrdiff_t>(run.begin),
               run.chunk->entries.begin() + static_cast<std::ptrdiff_t>(run.end));
  return out;
}

std::size_t TreeCursor::shared_with(const TreeCursor& other) const {
  const auto& ours = here();
  const auto& theirs = other.here();
  if (ours.chunk != theirs.chunk || ours.begin + at_ != theirs.begin + other.at_) return 0;
  return std::min(ours.end - ours.begin - at_, theirs.end - theirs.begin - other.at_);
}

void TreeCursor::skip(std::size_t n) {
  at_ += n;
  if (at_ < here().end - here().begin) return;
  at_ = 0;
  ++run_;
}

Result<std::shared_ptr<SharedTree::Chunk>> TreeShelf::chunk(Bytes bytes) const {
  auto out = std::make_shared<SharedTree::Chunk>();
  out->bytes = std::string(as_text(bytes));
  out->entries = HUBGATE_TRY(parse_tree(as_bytes(out->bytes), id_size_));
  return out;
}

Result<std::shared_ptr<const SharedTree>> TreeShelf::whole(Bytes bytes) {
  const std::shared_ptr<const SharedTree::Chunk> all = HUBGATE_TRY(chunk(bytes));
  auto out = std::make_shared<SharedTree>();
  if (!all->entries.empty()) out->runs_.push_back({all, 0, all->entries.size()});
  out->clean_ = check_tree(all->entries, 1).empty();
  out->cost_ = sizeof *out + bytes.size() + all->entries.size() * sizeof(TreeEntry);
  if (bytes.size() < k_worth || bytes.size() > k_kept)
    return std::shared_ptr<const SharedTree>(std::move(out));
  Recent recent{all->bytes, {}, out};
  recent.offsets.reserve(all->entries.size() + 1);
  std::size_t at = 0;
  for (const TreeEntry& entry: all->entries) {
    recent.offsets.push_back(at);
    at += length_of(entry, all->bytes, at);
  }
  recent.offsets.push_back(at);
  if (recent_.size() == k_recent) recent_.erase(recent_.begin());
  recent_.push_back(std::move(recent));
  return std::shared_ptr<const SharedTree>(std::move(out));
}

// `before` and `behind`: how many bytes at both ends are those of the base. Null: better as a
// whole.
std::shared_ptr<const SharedTree> TreeShelf::like(Recent& base, Bytes bytes, std::size_t before,
                                                  std::size_t behind) {
  const std::size_t base_size = base.bytes.size();
  // Whole entries only; an entry is the same where its bytes are.
  const auto begin =
      std::upper_bound(base.offsets.begin(), base.offsets.end(), before) - base.offsets.begin() - 1;
  auto end =
      std::lower_bound(base.offsets.begin() + begin, base.offsets.end(), base_size - behind) -
      base.offsets.begin();
  const std::size_t first = base.offsets[static_cast<std::size_t>(begin)];
  // Both ends may claim the same bytes of the shorter one.
  while (bytes.size() + base.offsets[static_cast<std::size_t>(end)] < base_size + first)
    ++end;
  const std::size_t last = bytes.size() - (base_size - base.offsets[static_cast<std::size_t>(end)]);
  const auto middle = chunk(bytes.subspan(first, last - first));
  if (!middle) return nullptr;
  const SharedTree::Chunk& fresh = **middle;

  auto out = std::make_shared<SharedTree>();
  append(out->runs_, base.tree->runs_, 0, static_cast<std::size_t>(begin));
  if (!fresh.entries.empty()) out->runs_.push_back({*middle, 0, fresh.entries.size()});
  append(out->runs_, base.tree->runs_, static_cast<std::size_t>(end), base.offsets.size() - 1);
  if (out->runs_.size() > k_runs) return nullptr;
  out->clean_ = base.tree->clean_ && check_tree(fresh.entries, 1).empty() &&
                clean_together(out->runs_, fresh.entries.empty() ? nullptr : &fresh);
  if (!out->clean_) return nullptr;
  out->cost_ = sizeof *out + out->runs_.size() * sizeof(SharedTree::Run) + fresh.bytes.size() +
               fresh.entries.size() * sizeof(TreeEntry);

  std::vector<std::size_t> offsets(base.offsets.begin(), base.offsets.begin() + begin);
  offsets.reserve(offsets.size() + fresh.entries.size() + base.offsets.size() -
                  static_cast<std::size_t>(end));
  std::size_t at = 0;
  for (const TreeEntry& entry: fresh.entries) {
    offsets.push_back(first + at);
    at += length_of(entry, fresh.bytes, at);
  }
  for (auto offset = base.offsets.begin() + end; offset != base.offsets.end(); ++offset)
    offsets.push_back(*offset + bytes.size() - base_size);
  base.offsets = std::move(offsets);
  base.bytes.assign(as_text(bytes));
  base.tree = out;
  return out;
}

Result<std::shared_ptr<const SharedTree>> TreeShelf::make(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  Recent* best = nullptr;
  std::size_t best_before = 0;
  std::size_t best_behind = 0;
  if (text.size() >= k_worth && text.size() <= k_kept)
    for (Recent& recent: recent_) {
      const std::size_t before = same_in_front(text, recent.bytes);
      const std::size_t behind =
          same_behind(text.substr(before), std::string_view(recent.bytes).substr(before));
      if (best != nullptr && before + behind <= best_before + best_behind) continue;
      best = &recent;
      best_before = before;
      best_behind = behind;
    }
  if (best != nullptr && best_before + best_behind >= text.size() / 2)
    if (auto out = like(*best, bytes, best_before, best_behind)) return out;
  return whole(bytes);
}

} // namespace hubgate::git
