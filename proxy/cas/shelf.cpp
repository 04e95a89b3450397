#include "proxy/cas/shelf.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <array>

namespace hubgate::proxy {

namespace {
/// What nobody has built a file of is waste of an upload that was given up.
constexpr auto k_keep_new = std::chrono::hours(2);
constexpr auto k_keep_old = std::chrono::hours(48);
constexpr auto k_tidy = std::chrono::seconds(20);
/// What may lie here for later uploads, as a share of the spool.
constexpr std::uint64_t k_share = 4;
/// Each is an open file.
constexpr std::size_t k_most = 8192;

std::string key_of(const std::string& owner, const xet::Hash& hash) {
  return owner + "\n" + hash.text();
}
} // namespace

Charge::Charge(Quota& quota, Metrics& metrics, std::string user)
    : quota_(quota), metrics_(metrics), user_(std::move(user)) {}

void Charge::set(std::uint64_t bytes) {
  quota_.spool_now = quota_.spool_now - bytes_ + bytes;
  std::uint64_t& of_user = quota_.spool_of[user_];
  of_user = of_user - bytes_ + bytes;
  if (of_user == 0) quota_.spool_of.erase(user_);
  bytes_ = bytes;
  metrics_.spool_bytes = quota_.spool_now;
}

bool Charge::fits(const ServeLimits& limits) const {
  const auto of_user = quota_.spool_of.find(user_);
  return quota_.spool_now <= limits.spool &&
         (of_user == quota_.spool_of.end() || of_user->second <= limits.spool_per_user);
}

Shelf::Shelf(const ServeLimits& limits) : limits_(limits) {
  std::array<unsigned char, 4> random{};
  RAND_bytes(random.data(), random.size());
  static constexpr std::string_view k_digits = "0123456789abcdef";
  for (const unsigned char byte: random) {
    start_ += k_digits[byte >> 4];
    start_ += k_digits[byte & 15];
  }
}

std::shared_ptr<ShelvedXorb> Shelf::find(const std::string& owner, const xet::Hash& hash) {
  const auto at = xorbs_.find(key_of(owner, hash));
  if (at == xorbs_.end()) return nullptr;
  at->second->used = Clock::now();
  return at->second;
}

void Shelf::put(const std::string& owner, std::shared_ptr<ShelvedXorb> xorb) {
  tidy();
  std::shared_ptr<ShelvedXorb>& place = xorbs_[key_of(owner, xorb->hash)];
  if (place && place->passed_on) return; // sent twice: what it says is the same
  place = std::move(xorb);
}

bool Shelf::make_room(const Charge& charge) {
  while (!charge.fits(limits_)) {
    auto oldest = xorbs_.end();
    for (auto at = xorbs_.begin(); at != xorbs_.end(); ++at)
      if (at->second->passed_on &&
          (oldest == xorbs_.end() || at->second->used < oldest->second->used))
        oldest = at;
    if (oldest == xorbs_.end()) return false;
    xorbs_.erase(oldest);
  }
  return true;
}

std::string Shelf::epoch(const std::string& owner) const {
  const auto at = epochs_.find(owner);
  return start_ + "-" + std::to_string(at == epochs_.end() ? 0 : at->second);
}

void Shelf::tidy() {
  const TimePoint now = Clock::now();
  if (now - tidied_ < k_tidy) return;
  tidied_ = now;
  std::vector<std::pair<TimePoint, std::string>> old;
  std::uint64_t bytes = 0;
  for (auto at = xorbs_.begin(); at != xorbs_.end();) {
    const ShelvedXorb& xorb = *at->second;
    if (now - xorb.used > (xorb.passed_on ? Duration(k_keep_old) : Duration(k_keep_new))) {
      at = xorbs_.erase(at);
      continue;
    }
    if (xorb.passed_on) {
      bytes += xorb.charge.bytes();
      old.emplace_back(xorb.used, at->first);
    }
    ++at;
  }
  std::sort(old.begin(), old.end());
  for (const auto& [used, key]: old) {
    if (bytes <= limits_.spool / k_share && xorbs_.size() <= k_most) break;
    const auto at = xorbs_.find(key);
    bytes -= at->second->charge.bytes();
    xorbs_.erase(at);
  }
}

} // namespace hubgate::proxy
