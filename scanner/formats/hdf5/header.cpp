#include "scanner/formats/hdf5/messages.hpp"

#include <algorithm>
#include <deque>
#include <set>

namespace hubgate::hdf5 {
namespace {

constexpr std::uint64_t k_max_header = std::uint64_t{16} << 20; ///< bytes of one header, all chunks
constexpr std::size_t k_max_messages = 1 << 20;

class HeaderReader {
public:
  explicit HeaderReader(File& file) : file_(file) {}
  Header run(std::uint64_t address);

private:
  struct Chunk {
    std::uint64_t address;
    std::uint64_t size;
  };

  void fail(Trouble::Kind kind, std::uint64_t address, std::string_view what) {
    if (out_.trouble.kind == Trouble::Kind::none) out_.trouble = {kind, address, what};
  }
  void first_chunk_old(std::uint64_t address);
  void first_chunk_new(std::uint64_t address);
  void messages(Bytes bytes, std::uint64_t address);
  void continuation(const Message& message);
  void chunk(const Chunk& chunk);
  bool sum_ok(Bytes all) const;

  File& file_;
  Header out_;
  bool new_ = false;
  bool ordered_ = false;
  std::uint64_t total_ = 0;
  std::deque<Chunk> pending_;
  std::set<std::uint64_t>
      seen_; ///< chunks of this header: a type's header is read once more for each user
};

bool HeaderReader::sum_ok(Bytes all) const {
  Reader reader(all.last(4));
  return reader.le<std::uint32_t>() == lookup3(all.first(all.size() - 4));
}

void HeaderReader::first_chunk_old(std::uint64_t address) {
  const auto prefix = file_.read(address, 16);
  if (!prefix) return fail(Trouble::Kind::truncated, address, "an object header is cut");
  Reader reader(*prefix);
  const auto version = reader.le<std::uint8_t>();
  reader.skip(7); // reserved, number of messages, references
  const auto size = reader.le<std::uint32_t>();
  if (version != std::uint8_t{1})
    return fail(Trouble::Kind::malformed, address, "no object header is where one should be");
  file_.account(address, 16 + std::uint64_t{*size});
  if (*size > k_max_header)
    return fail(Trouble::Kind::budget, address, "an object header is too long");
  const auto body = file_.read(address + 16, *size);
  if (!body) return fail(Trouble::Kind::truncated, address, "an object header is cut");
  total_ = *size;
  messages(*body, address + 16);
}

void HeaderReader::first_chunk_new(std::uint64_t address) {
  const std::uint64_t room = file_.size() - file_.place(address);
  const auto prefix = file_.read(address, std::min<std::uint64_t>(room, 40));
  if (!prefix || prefix->size() < 6)
    return fail(Trouble::Kind::truncated, address, "an object header is cut");
  Reader reader(*prefix);
  reader.skip(4);
  const auto version = reader.le<std::uint8_t>();
  const auto flags = reader.le<std::uint8_t>();
  if (version != std::uint8_t{2})
    return fail(Trouble::Kind::unsupported, address, "an object header of an unknown version");
  ordered_ = (*flags & 0x04) != 0;
  if ((*flags & 0x20) != 0) reader.skip(16);
  if ((*flags & 0x10) != 0) reader.skip(4);
  const auto size = File::number(reader, std::size_t{1} << (*flags & 3));
  if (!size) return fail(Trouble::Kind::truncated, address, "an object header is cut");
  const std::uint64_t front = reader.position();
  if (*size > k_max_header)
    return fail(Trouble::Kind::budget, address, "an object header is too long");
  file_.account(address, front + *size + 4);
  const auto all = file_.read(address, front + *size + 4);
  if (!all) return fail(Trouble::Kind::truncated, address, "an object header is cut");
  if (!sum_ok(*all))
    fail(Trouble::Kind::checksum, address, "an object header has a wrong checksum");
  total_ = *size;
  messages(Bytes(*all).subspan(static_cast<std::size_t>(front), static_cast<std::size_t>(*size)),
           address + front);
}

void HeaderReader::messages(Bytes bytes, std::uint64_t address) {
  Reader reader(bytes);
  const std::size_t front = new_ ? (ordered_ ? 6 : 4) : 8;
  while (reader.remaining() >= front) {
    if (out_.messages.size() >= k_max_messages)
      return fail(Trouble::Kind::budget, address, "an object header has too many messages");
    Message message;
    std::uint16_t size = 0;
    if (new_) {
      message.type = reader.le<std::uint8_t>().value_or(0);
      size = reader.le<std::uint16_t>().value_or(0);
      message.flags = reader.le<std::uint8_t>().value_or(0);
      if (ordered_) reader.skip(2);
    } else {
      message.type = reader.le<std::uint16_t>().value_or(0);
      size = reader.le<std::uint16_t>().value_or(0);
      message.flags = reader.le<std::uint8_t>().value_or(0);
      reader.skip(3);
    }
    message.place = file_.place(address + reader.position());
    const auto body = reader.take(size);
    if (!body)
      return fail(Trouble::Kind::malformed, address + reader.position(),
                  "a message is longer than its object header");
    message.body.assign(body->begin(), body->end());
    if (message.type == k_continuation) {
      continuation(message);
    } else if (message.type != 0) {
      out_.messages.push_back(std::move(message));
    } else if (std::any_of(message.body.begin(), message.body.end(),
                           [](std::uint8_t c) { return c != 0; })) {
      out_.messages.push_back(std::move(message)); // what was deleted is still there
    }
  }
}

void HeaderReader::continuation(const Message& message) {
  Reader reader(message.body);
  const auto address = file_.offset(reader);
  const auto size = file_.length(reader);
  if (!address || !size)
    return fail(Trouble::Kind::malformed, message.place, "a continuation message is cut");
  pending_.push_back({*address, *size});
}

void HeaderReader::chunk(const Chunk& chunk) {
  if (!seen_.insert(chunk.address).second)
    return fail(Trouble::Kind::cycle, chunk.address, "an object header continues in itself");
  if (chunk.size > k_max_header || total_ + chunk.size > k_max_header)
    return fail(Trouble::Kind::budget, chunk.address, "an object header is too long");
  total_ += chunk.size;
  file_.account(chunk.address, chunk.size);
  const auto bytes = file_.read(chunk.address, chunk.size);
  if (!bytes) return fail(Trouble::Kind::truncated, chunk.address, "an object header is cut");
  if (!new_) return messages(*bytes, chunk.address);
  if (bytes->size() < 8 || !starts_with(*bytes, "OCHK"))
    return fail(Trouble::Kind::malformed, chunk.address,
                "an object header's continuation is not one");
  if (!sum_ok(*bytes))
    fail(Trouble::Kind::checksum, chunk.address, "an object header has a wrong checksum");
  messages(Bytes(*bytes).subspan(4, bytes->size() - 8), chunk.address + 4);
}

Header HeaderReader::run(std::uint64_t address) {
  const auto magic = file_.read(address, 4);
  if (!magic) {
    fail(Trouble::Kind::truncated, address, "an object header lies behind the end of the file");
    return std::move(out_);
  }
  new_ = starts_with(*magic, "OHDR");
  if (new_)
    first_chunk_new(address);
  else
    first_chunk_old(address);
  while (!pending_.empty()) {
    const Chunk next = pending_.front();
    pending_.pop_front();
    chunk(next);
  }
  return std::move(out_);
}

} // namespace

Header read_header(File& file, std::uint64_t address) {
  return HeaderReader(file).run(address);
}

} // namespace hubgate::hdf5
