#include "proxy/cas/source.hpp"

#include <algorithm>

namespace hubgate::proxy {

/// Some bytes of a part.
struct CasSource::Piece {
  std::size_t part = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  enum class State { waiting, running, here, failed } state = State::waiting;
  std::vector<std::uint8_t> bytes;
  std::string error;
};

struct CasSource::Fetches {
  Fetches(Loop& loop, Upstream& upstream_) : upstream(upstream_), changed(loop) {}
  Upstream& upstream;
  const Hub* hub = nullptr;
  Headers fields;
  std::vector<Url> urls; ///< of the parts
  std::vector<Piece> pieces;
  std::size_t started = 0;
  bool closed = false; ///< nobody wants the rest
  Event changed;

  static Task<void> fetch(std::shared_ptr<Fetches> all, std::size_t index);
  Task<bool> read(Piece& piece);
};

namespace {

constexpr auto k_look = std::chrono::seconds(1);
constexpr std::size_t k_small = std::size_t{64} << 10; ///< above it JSON is parsed elsewhere
constexpr int k_reopen_most = 2;
/// A range may be listed with more chunks than its terms use. So much more and no more.
constexpr std::uint64_t k_surplus = std::uint64_t{256} << 20;

std::string range_field(std::uint64_t first, std::uint64_t last) {
  return "bytes=" + std::to_string(first) + "-" + std::to_string(last);
}

/// The shortest listed range that holds the term's chunks; there is one, or it could not be read.
std::pair<const xet::Fetch*, const xet::FetchRange*>
covering(const xet::Reconstruction& reconstruction, const xet::Term& term) {
  const xet::Fetch* fetch = nullptr;
  const xet::FetchRange* best = nullptr;
  const auto found = reconstruction.fetches.find(term.xorb);
  if (found == reconstruction.fetches.end()) return {nullptr, nullptr};
  for (const auto& one: found->second)
    for (const auto& range: one.ranges) {
      if (range.chunks.begin > term.chunks.begin || term.chunks.end > range.chunks.end) continue;
      if (best != nullptr && best->last - best->first <= range.last - range.first) continue;
      fetch = &one;
      best = &range;
    }
  return {fetch, best};
}

} // namespace

std::vector<CasPart> plan_parts(const xet::Reconstruction& reconstruction) {
  std::vector<CasPart> out;
  for (const auto& term: reconstruction.terms) {
    const auto [fetch, range] = covering(reconstruction, term);
    if (fetch == nullptr) return {};
    const bool goes_on = !out.empty() && out.back().url == fetch->url &&
                         out.back().first == range->first && out.back().last == range->last &&
                         out.back().wanted.back().end <= term.chunks.begin;
    if (!goes_on)
      out.push_back(CasPart{
          fetch->url, range->first, range->last, range->chunks.begin, range->chunks.end, {}});
    out.back().wanted.push_back(term.chunks);
  }
  return out;
}

Task<bool> CasSource::Fetches::read(Piece& piece) {
  Headers headers = fields;
  headers.set("Range", range_field(piece.first, piece.last));
  Fetch asked("GET", urls[piece.part], std::move(headers));
  asked.hub = hub;
  std::unique_ptr<Exchange> answer = co_await upstream.request(std::move(asked), piece.error);
  if (!answer) co_return false;
  const std::uint64_t n = piece.last - piece.first + 1;
  const int status = answer->head.status;
  const auto length = answer->length();
  if ((status != 206 && status != 200) || length != n) {
    piece.error = "the storage of the CAS answers " + std::to_string(status) +
                  " where a range of a xorb should be";
    co_return false;
  }
  piece.bytes.resize(static_cast<std::size_t>(n));
  for (std::size_t have = 0; have < piece.bytes.size() && !closed;) {
    const std::int64_t got = co_await answer->read(std::span(piece.bytes).subspan(have));
    if (got <= 0) {
      piece.error = "a range of a xorb broke off: " + answer->error();
      co_return false;
    }
    have += static_cast<std::size_t>(got);
  }
  // Reads the end, so that the connection can be used again.
  if (!closed) co_await answer->read_all(0);
  co_return true;
}

Task<void> CasSource::Fetches::fetch(std::shared_ptr<Fetches> all, std::size_t index) {
  Piece& piece = all->pieces[index];
  const bool read = co_await all->read(piece);
  piece.state = read ? Piece::State::here : Piece::State::failed;
  all->changed.notify();
}

CasSource::~CasSource() {
  if (fetches_) fetches_->closed = true;
}

bool CasSource::fail(std::string why) {
  if (error_.empty()) error_ = std::move(why);
  return false;
}

Task<std::unique_ptr<CasSource>> CasSource::open(Loop& loop, WorkerPool& pool, Upstream& upstream,
                                                 CasAsk ask, ByteRange range, std::string& error) {
  std::unique_ptr<CasSource> out(new CasSource(loop, upstream, std::move(ask), range));
  auto decoder = Decoder::start(loop, pool);
  if (!decoder) {
    error = "no worker for a xorb: " + decoder.error().message;
    co_return nullptr;
  }
  out->decoder_ = std::move(*decoder);
  const bool opened = co_await out->reopen();
  if (opened) co_return out;
  error = out->error_;
  co_return nullptr;
}

// From where the chunks that were taken end: addresses are good for a while only.
Task<bool> CasSource::reopen() {
  if (fetches_) fetches_->closed = true;
  fetches_.reset();
  const ByteRange rest{range_.first + taken_, range_.last};
  const auto plan = co_await reconstruct(rest);
  if (!plan) co_return false;
  plan_fetches(*plan);
  if (!error_.empty()) co_return false;
  skip_ = plan->offset_into_first_range;
  part_ = 0;
  piece_ = 0;
  part_begun_ = false;
  feeding_.clear();
  feeding_at_ = 0;
  start_more();
  co_return true;
}

Task<std::optional<xet::Reconstruction>> CasSource::reconstruct(ByteRange range) {
  for (const xet::Shape shape: {xet::Shape::v2, xet::Shape::v1}) {
    const auto base = parse_url(ask_.ticket.cas);
    Url url = base ? *base : Url{};
    if (url.target == "/") url.target.clear();
    url.target += shape == xet::Shape::v2 ? "/v2" : "/v1";
    url.target += "/reconstructions/" + ask_.ticket.file;
    Headers fields = ask_.fields;
    fields.set("Authorization", "Bearer " + ask_.ticket.token);
    fields.set("Range", range_field(range.first, range.last));
    fields.set("Accept-Encoding", "identity");
    Fetch fetch("GET", std::move(url), std::move(fields));
    fetch.hub = ask_.hub;
    std::string error;
    std::unique_ptr<Exchange> answer = co_await upstream_.request(std::move(fetch), error);
    if (!answer) {
      fail(std::move(error));
      co_return std::nullopt;
    }
    const int status = answer->head.status;
    if (shape == xet::Shape::v2 && (status == 404 || status == 501)) {
      co_await answer->read_all(k_small);
      continue;
    }
    if (status != 200 && status != 206) {
      fail("the hub's CAS answers " + std::to_string(status) +
           " where the chunks of the file should be listed");
      co_return std::nullopt;
    }
    const auto body = co_await answer->read_all(xet::k_reconstruction_most);
    if (!body) {
      fail("the list of the file's chunks broke off: " + answer->error());
      co_return std::nullopt;
    }
    Result<xet::Reconstruction> read = Error{""};
    if (body->size() <= k_small)
      read = xet::read_reconstruction(*body, shape);
    else
      read = co_await loop_.offload([&] { return xet::read_reconstruction(*body, shape); });
    if (read) co_return std::move(*read);
    fail(read.error().message);
    co_return std::nullopt;
  }
  fail("the hub's CAS does not know the file");
  co_return std::nullopt;
}

void CasSource::plan_fetches(const xet::Reconstruction& reconstruction) {
  auto fetches = std::make_shared<Fetches>(loop_, upstream_);
  fetches->hub = ask_.hub;
  fetches->fields = ask_.fields;
  fetches->fields.set("Accept-Encoding", "identity");
  parts_ = plan_parts(reconstruction);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const CasPart& part = parts_[i];
    auto url = parse_url(part.url);
    const auto refusal = url ? ask_.hub->rules.refusal(*url) : std::nullopt;
    if (!url || refusal) {
      fail("the hub's CAS lists an address that is not followed" +
           (refusal ? ": " + *refusal : ""));
      return;
    }
    fetches->urls.push_back(std::move(*url));
    total += part.last - part.first + 1; // below 64 MiB each
    for (std::uint64_t at = part.first; at <= part.last; at += ask_.piece) {
      Piece piece;
      piece.part = i;
      piece.first = at;
      piece.last = std::min(part.last, at + ask_.piece - 1);
      fetches->pieces.push_back(std::move(piece));
    }
    if (total > 2 * range_.length() + k_surplus) {
      fail("the file is scattered over more than the gate fetches for it");
      return;
    }
  }
  fetches_ = std::move(fetches);
}

void CasSource::start_more() {
  auto& all = *fetches_;
  all.started = std::max(all.started, piece_);
  while (all.started < all.pieces.size() && all.started < piece_ + ask_.ahead) {
    all.pieces[all.started].state = Piece::State::running;
    loop_.spawn(
        [fetches = fetches_, index = all.started] { return Fetches::fetch(fetches, index); });
    ++all.started;
  }
}

// One decoded chunk. True with an empty current_: it is not wanted.
bool CasSource::take_chunk(Bytes raw) {
  const CasPart& part = parts_[part_];
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

// Hands the decoder what comes next. False: it failed, or there is nothing more (`ended`).
Task<bool> CasSource::feed_next(bool& ended) {
  auto& pieces = fetches_->pieces;
  const bool all_taken = part_begun_ && wanted_ == parts_[part_].wanted.size();
  if (all_taken) { // what else the range holds is of no use
    feeding_.clear();
    feeding_at_ = 0;
    while (piece_ < pieces.size() && pieces[piece_].part == part_)
      std::vector<std::uint8_t>().swap(pieces[piece_++].bytes);
    part_begun_ = false;
    ++part_;
  }
  if (feeding_at_ == feeding_.size()) {
    const bool part_ends = piece_ == pieces.size() || pieces[piece_].part != part_;
    if (part_begun_ && part_ends)
      co_return fail("a range of a xorb holds fewer chunks than listed");
    if (piece_ == pieces.size()) {
      ended = true;
      co_return false;
    }
    start_more();
    while (pieces[piece_].state == Piece::State::running)
      co_await fetches_->changed.wait(k_look);
    if (pieces[piece_].state == Piece::State::failed) {
      const std::string why = pieces[piece_].error;
      if (++reopened_ > k_reopen_most) co_return fail(why);
      const bool again = co_await reopen();
      co_return again;
    }
    feeding_ = std::move(pieces[piece_].bytes);
    feeding_at_ = 0;
    ++piece_;
    start_more();
  }
  if (!part_begun_) {
    if (!decoder_->begin(xet::XorbStream::Kind::range)) co_return fail(decoder_->error());
    part_begun_ = true;
    chunk_ = parts_[part_].first_chunk;
    wanted_ = 0;
  }
  const std::size_t n = std::min(decoder_->piece_most(), feeding_.size() - feeding_at_);
  if (!decoder_->feed(Bytes(feeding_).subspan(feeding_at_, n))) co_return fail(decoder_->error());
  feeding_at_ += n;
  fed_ = true;
  co_return true;
}

// Fills current_. False: the end, or error_.
Task<bool> CasSource::next_chunk() {
  while (current_.empty()) {
    if (taken_ == range_.length() && !whole()) co_return false;
    if (!fed_) {
      bool ended = false;
      const bool fed = co_await feed_next(ended);
      if (!fed) co_return false;
      continue;
    }
    Bytes raw;
    const Decoder::Got got = co_await decoder_->next(raw);
    if (got == Decoder::Got::nothing) {
      fed_ = false;
    } else if (got != Decoder::Got::chunk) {
      co_return fail("a xorb can't be read: " + decoder_->error());
    } else if (!take_chunk(raw)) {
      co_return false;
    }
  }
  co_return true;
}

bool CasSource::finish() {
  if (!error_.empty()) return false;
  if (taken_ != range_.length()) return fail("the file's chunks hold fewer bytes than announced");
  if (whole() && xet::file_id(chunks_).text() != ask_.ticket.file)
    return fail("the chunks are not those that the file's id names");
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
