#include "proxy/xet/shard_service.hpp"

#include "scanner/core/reader.hpp"

#include <array>
#include <cerrno>
#include <unistd.h>

namespace hubgate::xet {

namespace {

constexpr std::uint32_t k_read = 1;
constexpr std::uint32_t k_unreadable = 0;
constexpr std::size_t k_reason_most = 300;
constexpr std::size_t k_term_size = sizeof(Hash::bytes) + 3 * sizeof(std::uint32_t);
const Error k_broken{"the shard could not be read"};

void put(std::string& out, std::uint32_t number) {
  for (unsigned shift = 0; shift < 32; shift += 8)
    out += static_cast<char>(number >> shift & 0xff);
}
void put(std::string& out, std::span<const std::uint8_t> bytes) {
  out.append(bytes.begin(), bytes.end());
}

template <typename Array> bool take(Reader& in, Array& out) {
  const auto bytes = in.take(out.size());
  if (bytes) std::copy(bytes->begin(), bytes->end(), out.begin());
  return bytes.has_value();
}

bool take(Reader& in, std::uint32_t& out) {
  const auto number = in.le<std::uint32_t>();
  out = number.value_or(0);
  return number.has_value();
}

bool take(Reader& in, ShardTerm& out) {
  return take(in, out.xorb.bytes) && take(in, out.bytes) && take(in, out.chunks.begin) &&
         take(in, out.chunks.end) && out.chunks.begin < out.chunks.end;
}

bool take(Reader& in, ShardFile& out) {
  std::uint32_t has_sha256 = 0;
  std::uint32_t terms = 0;
  Sha256 sha256{};
  if (!take(in, out.id.bytes) || !take(in, has_sha256) || !take(in, sha256) || !take(in, terms) ||
      !in.can_hold(terms, k_term_size))
    return false;
  if (has_sha256 != 0) out.sha256 = sha256;
  out.terms.resize(terms);
  for (ShardTerm& term: out.terms)
    if (!take(in, term)) return false;
  return true;
}

} // namespace

std::string write_claims(const Result<Shard>& shard) {
  std::string out;
  if (!shard) {
    put(out, k_unreadable);
    out += shard.error().message.substr(0, k_reason_most);
    return out;
  }
  put(out, k_read);
  put(out, static_cast<std::uint32_t>(shard->files.size()));
  for (const ShardFile& file: shard->files) {
    put(out, file.id.bytes);
    put(out, std::uint32_t{file.sha256.has_value()});
    put(out, file.sha256.value_or(Sha256{}));
    put(out, static_cast<std::uint32_t>(file.terms.size()));
    for (const ShardTerm& term: file.terms) {
      put(out, term.xorb.bytes);
      put(out, term.bytes);
      put(out, term.chunks.begin);
      put(out, term.chunks.end);
    }
  }
  put(out, static_cast<std::uint32_t>(shard->xorbs.size()));
  for (const ShardXorb& xorb: shard->xorbs)
    put(out, xorb.hash.bytes);
  return out;
}

Result<ShardClaims> read_claims(Bytes answer) {
  Reader in(answer);
  std::uint32_t kind = 0;
  if (!take(in, kind)) return k_broken;
  if (kind == k_unreadable)
    return Error{std::string(as_text(answer.subspan(sizeof kind)).substr(0, k_reason_most))};
  if (kind != k_read) return k_broken;
  ShardClaims out;
  std::uint32_t count = 0;
  if (!take(in, count) || !in.can_hold(count, sizeof(Hash::bytes))) return k_broken;
  for (std::uint32_t i = 0; i < count; ++i)
    if (!take(in, out.files.emplace_back())) return k_broken;
  if (!take(in, count) || !in.can_hold(count, sizeof(Hash::bytes))) return k_broken;
  for (std::uint32_t i = 0; i < count; ++i)
    if (!take(in, out.xorbs.emplace_back().bytes)) return k_broken;
  if (in.remaining() != 0) return k_broken;
  return out;
}

void serve_shard_reading(int questions, int answers) {
  std::string body;
  std::array<char, std::size_t{64} << 10> piece{};
  for (;;) {
    const ssize_t n = ::read(questions, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    body.append(piece.data(), static_cast<std::size_t>(n));
    if (body.size() > k_shard_most) break; // read_shard() says so
  }
  const std::string answer = write_claims(read_shard(as_bytes(body)));
  for (std::size_t at = 0; at < answer.size();) {
    const ssize_t n = ::write(answers, answer.data() + at, answer.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    at += static_cast<std::size_t>(n);
  }
}

} // namespace hubgate::xet
