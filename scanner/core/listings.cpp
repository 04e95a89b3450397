#include "scanner/core/listings.hpp"

#include "scanner/core/evidence.hpp"

#include <algorithm>

namespace hubgate {
namespace {

/// Streams up to here are dumped whole when something was found in them.
constexpr std::uint64_t k_small_dump = 1024;
constexpr std::uint64_t k_dump_before = 64;
constexpr std::uint64_t k_dump_behind = 128;
constexpr std::size_t k_dump_line = 16;
/// A line that is farther from any place, in bytes, is not near to it whatever lies between.
constexpr std::uint64_t k_reach = std::uint64_t{64} << 10;
/// Of a line: the tail of a longer one says little.
constexpr std::size_t k_line_max = 1000;

// An overview is useful as a whole.
bool is_overview(std::string_view kind) {
  return kind == "format" || kind == "entry-point";
}

// The bytes, what they say one by one, what that means as a program; and what overviews take.
std::size_t stage_of(std::string_view kind) {
  return kind == "bytes" ? 0 : kind == "disassembly" ? 1 : is_overview(kind) ? 3 : 2;
}

// Whether a place lies in [from, upto].
bool has(const std::vector<std::uint64_t>& places, std::uint64_t from, std::uint64_t upto) {
  const auto at = std::lower_bound(places.begin(), places.end(), from);
  return at != places.end() && *at <= upto;
}

std::string hex_line(Bytes bytes) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < k_dump_line; ++i) {
    if (i == k_dump_line / 2) out += ' ';
    if (i < bytes.size()) {
      out += k_digits[bytes[i] >> 4];
      out += k_digits[bytes[i] & 15];
      out += ' ';
    } else {
      out += "   ";
    }
  }
  out += " |";
  for (const std::uint8_t c: bytes)
    out += c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '.';
  return out + "|";
}

} // namespace

Listings::Listings(const Limits& limits, ReportSink* sink)
    : sink_(sink), limit_(limits.listings & ~k_list_all), window_(limits.decode_window) {}

void Listings::show_near(const Report& found) {
  mode_ = Mode::undecided;
  const bool harm = std::any_of(found.findings.begin(), found.findings.end(), [](const Finding& f) {
    return f.severity != Severity::informational;
  });
  for (const Finding& finding: found.findings)
    if (!harm || finding.severity != Severity::informational)
      places_[finding.where].push_back(finding.offset);
  for (const Gap& gap: found.gaps)
    places_[gap.where].push_back(gap.offset);
  if (places_.empty()) places_[""].push_back(0);
  for (auto& [where, places]: places_)
    std::sort(places.begin(), places.end());
}

void Listings::add(std::string_view kind, const std::string& where, std::uint64_t offset,
                   std::string_view line) {
  if (mode_ == Mode::near && !is_overview(kind) && !places_.contains(where)) {
    ++left_out_;
    return;
  }
  if (mode_ == Mode::near && !is_overview(kind) && is_far(kind, where, offset)) return;
  Listing listing{std::string(kind), where, offset, printable(line, k_line_max)};
  if (mode_ == Mode::all || is_overview(kind)) {
    emit(listing);
  } else if (mode_ == Mode::near) {
    filter(std::move(listing));
  } else {
    undecided_.push_back(std::move(listing));
    if (undecided_.size() <= k_small_listing) return;
    mode_ = Mode::near;
    for (Listing& kept: undecided_) {
      if (places_.contains(kept.where))
        filter(std::move(kept));
      else
        ++left_out_;
    }
    undecided_.clear();
  }
}

Listings::Part& Listings::part_of(std::string_view kind, const std::string& where) {
  if (last_part_ == nullptr || last_key_.first != where || last_key_.second != kind) {
    last_key_ = {where, std::string(kind)};
    last_part_ = &parts_[last_key_];
  }
  return *last_part_;
}

// Most lines of a large object are: they are counted before anything is made of them.
bool Listings::is_far(std::string_view kind, const std::string& where, std::uint64_t offset) {
  Part& part = part_of(kind, where);
  const std::uint64_t from = !part.begun ? 0 : part.last < offset ? part.last + 1 : offset;
  if (part.after > 0 || has(places_.at(where), from, offset + std::min(k_reach, ~offset)))
    return false;
  part.left_out += 1 + part.before.size();
  part.before.clear();
  part.last = offset;
  part.begun = true;
  return true;
}

void Listings::filter(Listing listing) {
  const Places& places = places_.at(listing.where);
  Part& part = part_of(listing.kind, listing.where);
  // A place between two lines belongs to the first of them: it is in an opcode's argument, say.
  const std::uint64_t offset = listing.offset;
  const bool hit = has(places, part.begun ? offset : 0, offset);
  const bool hit_before =
      part.begun && part.last + 1 < offset && has(places, part.last + 1, offset - 1);
  part.last = offset;
  part.begun = true;
  if (!hit && !hit_before && part.after == 0) {
    part.before.push_back(std::move(listing));
    if (part.before.size() <= k_listed_near) return;
    part.before.pop_front();
    ++part.left_out;
    return;
  }
  mark_left_out(part, part.before.empty() ? listing : part.before.front());
  part.before.push_back(std::move(listing));
  for (const Listing& line: part.before) {
    if (emit(line))
      part.shown = true;
    else
      ++part.left_out;
  }
  part.before.clear();
  part.after = hit ? k_listed_near : hit_before ? k_listed_near - 1 : part.after - 1;
}

bool Listings::emit(const Listing& listing) {
  std::uint32_t& shown = shown_[stage_of(listing.kind)];
  if (shown >= limit_) {
    if (mode_ != Mode::near) ++left_out_;
    return false;
  }
  ++shown;
  if (sink_ != nullptr) sink_->on_listing(listing);
  return true;
}

void Listings::mark_left_out(Part& part, const Listing& next) {
  if (part.left_out == 0) return;
  const std::string text = "… " + std::to_string(part.left_out) +
                           (part.left_out == 1 ? " line" : " lines") + " left out";
  part.left_out = 0;
  if (sink_ != nullptr) sink_->on_listing({next.kind, next.where, next.offset, text});
}

void Listings::dump(Source& source, const std::string& where, std::uint64_t size, bool text) {
  // Reading a large decoded stream again would cost the budget a second time.
  if (!source.random_access() && size > window_) return;
  if (mode_ == Mode::all) return dump_range(source, where, 0, size);
  const auto found = places_.find(where);
  if (text || found == places_.end()) return;
  if (size <= k_small_dump) return dump_range(source, where, 0, size);
  std::uint64_t from = 0;
  std::uint64_t upto = 0;
  for (const std::uint64_t place: found->second) {
    if (place >= size) continue;
    constexpr std::uint64_t k_mask = ~std::uint64_t{k_dump_line - 1};
    const std::uint64_t begin = (place - std::min(place, k_dump_before)) & k_mask;
    if (begin > upto) {
      dump_range(source, where, from, upto);
      from = begin;
    }
    upto = std::min(size, (place + k_dump_behind) & k_mask);
  }
  dump_range(source, where, from, upto);
}

void Listings::dump_range(Source& source, const std::string& where, std::uint64_t from,
                          std::uint64_t upto) {
  for (std::uint64_t at = from; at < upto; at += k_dump_line) {
    const Bytes bytes =
        source.view(at, static_cast<std::size_t>(std::min<std::uint64_t>(k_dump_line, upto - at)));
    if (bytes.empty()) return;
    if (emit({"bytes", where, at, hex_line(bytes)})) continue;
    left_out_ += (upto - at - 1) / k_dump_line + (mode_ == Mode::near ? 1 : 0);
    return;
  }
}

void Listings::finish() {
  for (const Listing& listing: undecided_)
    emit(listing);
  undecided_.clear();
  for (auto& [key, part]: parts_) {
    part.left_out += part.before.size();
    part.before.clear();
    if (part.shown)
      mark_left_out(part, {key.second, key.first, part.last, ""});
    else
      left_out_ += part.left_out;
  }
  if (left_out_ != 0 && sink_ != nullptr)
    sink_->on_listing({"left-out", "", 0, std::to_string(left_out_)});
}

} // namespace hubgate
