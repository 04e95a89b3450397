#include "proxy/git/pkt_line.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_head = 4;

std::optional<std::size_t> length_of(Bytes head) {
  std::size_t out = 0;
  for (const std::uint8_t c: head) {
    std::size_t digit = 0;
    if (c >= '0' && c <= '9')
      digit = c - std::size_t{'0'};
    else if (c >= 'a' && c <= 'f')
      digit = c - std::size_t{'a'} + 10;
    else if (c >= 'A' && c <= 'F')
      digit = c - std::size_t{'A'} + 10;
    else
      return std::nullopt;
    out = out * 16 + digit;
  }
  return out;
}

std::string head_of(std::size_t content) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  const std::size_t length = content + k_head;
  std::string out;
  for (unsigned shift = 16; shift > 0;) {
    shift -= 4;
    out += k_digits[(length >> shift) & 15];
  }
  return out;
}

} // namespace

void PktReader::feed(Bytes bytes) {
  if (at_ != 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ = 0;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

std::optional<Pkt> PktReader::next() {
  const Bytes left = rest();
  if (broken_ || left.size() < k_head) return std::nullopt;
  const auto length = length_of(left.first(k_head));
  if (!length || *length == 3 || *length > k_pkt_max + k_head) {
    broken_ = true;
    return std::nullopt;
  }
  if (*length < k_head) {
    at_ += k_head;
    return Pkt{*length == 0   ? Pkt::Kind::flush
               : *length == 1 ? Pkt::Kind::delim
                              : Pkt::Kind::response_end,
               {}};
  }
  if (left.size() < *length) return std::nullopt;
  at_ += *length;
  return Pkt{Pkt::Kind::data, left.subspan(k_head, *length - k_head)};
}

std::string pkt(std::string_view content) {
  content = content.substr(0, k_pkt_max);
  std::string out = head_of(content.size());
  out += content;
  return out;
}

std::string band_pkts(int band, std::string_view content, std::size_t most) {
  std::string out;
  do {
    const std::string_view part = content.substr(0, most);
    out += head_of(part.size() + 1);
    out += static_cast<char>(band);
    out += part;
    content.remove_prefix(part.size());
  } while (!content.empty());
  return out;
}

} // namespace hubgate::proxy
