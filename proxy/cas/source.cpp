#include "proxy/cas/source.hpp"

#include "proxy/cas/pulls.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_small = std::size_t{64} << 10; ///< above it JSON is parsed elsewhere
constexpr int k_reopen_most = 2;
/// A range may be listed with more chunks than its terms use. So much more and no more.
constexpr std::uint64_t k_surplus = std::uint64_t{256} << 20;

} // namespace

Task<std::optional<xet::Reconstruction>> ask_reconstruction(Gate& gate, const CasAsk& ask,
                                                            ByteRange range, int& status,
                                                            std::string& error) {
  status = 0;
  for (const xet::Shape shape: {xet::Shape::v2, xet::Shape::v1}) {
    const auto base = parse_url(ask.ticket.cas);
    Url url = base ? *base : Url{};
    if (url.target == "/") url.target.clear();
    url.target += shape == xet::Shape::v2 ? "/v2" : "/v1";
    url.target += "/reconstructions/" + ask.ticket.file;
    Headers fields = ask.fields;
    fields.set("Authorization", "Bearer " + ask.ticket.token);
    fields.set("Range", "bytes=" + std::to_string(range.first) + "-" + std::to_string(range.last));
    fields.set("Accept-Encoding", "identity");
    Fetch fetch("GET", std::move(url), std::move(fields));
    fetch.hub = ask.hub;
    std::unique_ptr<Exchange> answer = co_await gate.upstream.request(std::move(fetch), error);
    if (!answer) co_return std::nullopt;
    status = answer->head.status;
    if (shape == xet::Shape::v2 && (status == 404 || status == 501)) {
      co_await answer->read_all(k_small);
      continue;
    }
    if (status != 200 && status != 206) {
      error = "the hub's CAS answers " + std::to_string(status) +
              " where the chunks of the file should be listed";
      co_return std::nullopt;
    }
    const auto body = co_await answer->read_all(xet::k_reconstruction_most);
    if (!body) {
      error = "the list of the file's chunks broke off: " + answer->error();
      co_return std::nullopt;
    }
    Result<xet::Reconstruction> read = Error{""};
    if (body->size() <= k_small)
      read = xet::read_reconstruction(*body, shape);
    else
      read = co_await gate.loop.offload([&] { return xet::read_reconstruction(*body, shape); });
    if (read) co_return std::move(*read);
    error = read.error().message;
    co_return std::nullopt;
  }
  error = "the hub's CAS does not know the file";
  co_return std::nullopt;
}

CasSource::~CasSource() {
  if (parts_ && !(copy_ && copy_->parts)) parts_->close();
}

bool CasSource::fail(std::string why) {
  if (error_.empty()) error_ = std::move(why);
  return false;
}

Task<std::unique_ptr<CasSource>> CasSource::open(Gate& gate, CasAsk ask, ByteRange range,
                                                 std::shared_ptr<CasCopy> copy,
                                                 std::string& error) {
  std::unique_ptr<CasSource> out(new CasSource(gate, std::move(ask), range, std::move(copy)));
  const bool opened = co_await out->reopen();
  if (opened) co_return out;
  error = out->error_;
  co_return nullptr;
}

// From where the chunks that were taken end: addresses are good for a while only.
Task<bool> CasSource::reopen() {
  if (parts_) parts_->close();
  parts_.reset();
  body_.reset();
  const ByteRange rest{range_.first + taken_, range_.last};
  int status = 0;
  std::string error;
  const auto plan = co_await ask_reconstruction(gate_, ask_, rest, status, error);
  if (!plan) co_return fail(std::move(error));
  std::vector<CasPart> parts = plan_parts(*plan);
  std::uint64_t total = 0;
  for (const CasPart& part: parts)
    total += part.bytes();
  if (total > 2 * range_.length() + k_surplus)
    co_return fail("the file is scattered over more than the gate fetches for it");
  auto made = PartFile::create(gate_, *ask_.hub, ask_.ticket.user, ask_.fields, std::move(parts));
  if (!made) co_return fail(made.error().message);
  parts_ = std::move(*made);
  // What was fetched a second time does not lie behind each other.
  if (copy_ && whole() && taken_ == 0 && worth_keeping(gate_, total)) parts_->keep();
  skip_ = plan->offset_into_first_range;
  part_ = 0;
  if (!parts_->parts().empty()) parts_->want(0);
  co_return true;
}

// One chunk that came. True with an empty current_: it is not wanted.
bool CasSource::take_chunk(Bytes raw) {
  const CasPart& part = parts_->parts()[part_];
  const std::uint32_t number = chunk_++;
  if (number >= part.end_chunk) return fail("a range of a xorb holds more chunks than listed");
  if (wanted_ == part.wanted.size() || number < part.wanted[wanted_].begin) return true;
  if (number + 1 == part.wanted[wanted_].end) ++wanted_;
  if (skip_ >= raw.size()) {
    skip_ -= raw.size();
    return true;
  }
  const std::uint64_t left = range_.length() - taken_;
  if (whole()) {
    if (skip_ != 0 || raw.size() > left)
      return fail("the file's chunks hold other bytes than announced");
    chunks_.push_back({xet::chunk_hash(raw), raw.size()});
  }
  Bytes use = raw.subspan(static_cast<std::size_t>(skip_));
  skip_ = 0;
  current_ = use.first(static_cast<std::size_t>(std::min<std::uint64_t>(use.size(), left)));
  taken_ += current_.size();
  return true;
}

Task<bool> CasSource::begin_part() {
  parts_->want(part_);
  body_ = std::make_unique<PartBody>(parts_, part_);
  chunk_ = parts_->parts()[part_].first_chunk;
  wanted_ = 0;
  const bool begun = co_await reader_.begin(*body_);
  if (!begun) fail("a xorb can't be read: " + reader_.error());
  co_return begun;
}

// Fills current_. False: the end, or error_.
Task<bool> CasSource::next_chunk() {
  while (current_.empty()) {
    if (taken_ == range_.length() && !whole()) co_return false;
    if (body_ && wanted_ == parts_->parts()[part_].wanted.size()) {
      body_.reset(); // what else the range holds is of no use
      parts_->taken(part_++);
    }
    if (!body_) {
      if (part_ == parts_->parts().size()) co_return false;
      const bool begun = co_await begin_part();
      if (!begun) co_return false;
    }
    Bytes raw;
    const ChunkReader::Got got = co_await reader_.next(raw);
    if (got == ChunkReader::Got::chunk) {
      if (!take_chunk(raw)) co_return false;
    } else if (got == ChunkReader::Got::end) {
      co_return fail("a range of a xorb holds fewer chunks than listed");
    } else if (got == ChunkReader::Got::broken && ++reopened_ <= k_reopen_most) {
      const bool again = co_await reopen();
      if (!again) co_return false;
    } else {
      co_return fail(reader_.error());
    }
  }
  co_return true;
}

bool CasSource::finish() {
  if (!error_.empty()) return false;
  if (taken_ != range_.length()) return fail("the file's chunks hold fewer bytes than announced");
  if (!whole()) return true;
  if (xet::file_id(chunks_).text() != ask_.ticket.file)
    return fail("the chunks are not those that the file's id names");
  if (!copy_ || copy_->chunks) return true;
  copy_->chunks = std::make_shared<const KnownChunks>(chunks_);
  if (parts_->keeps()) copy_->parts = parts_;
  return true;
}

Task<std::int64_t> CasSource::read(std::span<std::uint8_t> out) {
  std::size_t n = 0;
  while (n < out.size()) {
    if (current_.empty()) {
      const bool more = co_await next_chunk();
      if (!more) {
        if (!finish()) co_return -1;
        break;
      }
    }
    const std::size_t part = std::min(out.size() - n, current_.size());
    std::copy_n(current_.begin(), part, out.begin() + static_cast<std::ptrdiff_t>(n));
    current_ = current_.subspan(part);
    n += part;
  }
  co_return static_cast<std::int64_t>(n);
}

} // namespace hubgate::proxy
