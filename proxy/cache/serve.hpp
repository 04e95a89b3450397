#pragma once
// The cache on the way of a request: what it remembers of a path, bytes from the disk instead of
// from the hub, and what is taken in while it passes. Every function does nothing when the gate has
// no cache. Nothing here decides: the hub authorises, the policy decides, as without a cache.
#include "proxy/cache/cache.hpp"
#include "proxy/relay/object.hpp"

namespace hubgate::proxy {

/// What was said of the path that is asked for, and whether its bytes are here.
struct Remembered {
  FileAnswer answer;
  bool on_disk = false;
};
Task<std::optional<Remembered>> remembered_file(Visit& visit);

/// Notes what the hub said to this person of the path: an object that was judged and passed.
Task<void> remember_file(Visit& visit, Headers fields, std::shared_ptr<const Outcome> outcome);
/// Notes an error status: that there is no such file, or that this person may not have it any more.
Task<void> remember_refusal(Visit& visit, ResponseHead head);

/// A listing that passed, as the hub sent it. `key`: page_key() of the request.
std::string page_key(const Visit& visit, const std::string& body);
Task<void> remember_page(Visit& visit, std::string key, Headers fields, std::string body);
/// The hub refused a listing with this status.
Task<void> forget_page(Visit& visit, std::string key, int status);
/// The listing, when the hub can't be asked. Nothing when it may.
Task<std::optional<PageAnswer>> remembered_page(Visit& visit, std::string key);

/// Whether an answer, or none, means that the hub can't be asked now; then, and for some seconds,
/// what is remembered serves (`offline: true`).
bool hub_is_away(Visit& visit, const Fetched& got);
/// The same as far as it is known without asking.
bool hub_was_away(const Visit& visit);
Headers fields_from(std::string_view text);

/// An object of the cache as a source of bytes, from `from` on.
class CachedBody final : public BodySource {
public:
  CachedBody(Loop& loop, CacheEntry entry, std::uint64_t from)
      : loop_(loop), entry_(std::move(entry)), at_(from), begin_(from) {}
  Task<std::int64_t> read(std::span<std::uint8_t> out) override;
  std::string error() const override { return "the gate's copy can't be read"; }
  std::optional<std::uint64_t> length() const override { return entry_.size - begin_; }

private:
  Loop& loop_;
  CacheEntry entry_;
  std::uint64_t at_;
  std::uint64_t begin_;
};

/// The gate's copy of what is described, to be scanned again. Null when there is none.
Task<std::unique_ptr<BodySource>> cached_source(Visit& visit, const Described& what);

/// Takes in what an upstream sends of an object; null when it is not to be kept.
std::shared_ptr<CacheFill> begin_fill(const Visit& visit, std::optional<std::uint64_t> size);
/// Appends to a fill. A disk that is too slow ends the fill, not the transfer.
Task<void> feed(Loop& loop, std::shared_ptr<CacheFill>& fill, Bytes bytes);

/// After a scan: keeps the object if it passes here and now, withdraws it if it does not.
/// `fill` may be null.
Task<void> settle_cache(Gate& gate, std::shared_ptr<CacheFill> fill,
                        std::shared_ptr<const Outcome> outcome, Context context);
/// A decision on an object that may be here.
Task<void> withdraw(Gate& gate, const Decision& decision, Sha256 sha256);

/// Sends from the disk what it has of `range`, each block checked. Returns how many bytes of the
/// range went out: all, none (it is not here), or those before a block that is damaged, which ends
/// the entry. `alive`: false when the client is gone.
Task<std::uint64_t> send_cached(Visit& visit, std::shared_ptr<const Outcome> outcome,
                                ByteRange range, BodyWriter& writer, bool& alive);

} // namespace hubgate::proxy
