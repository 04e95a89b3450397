// The LZMA family through liblzma: .xz, .lzma, and raw chains of filters as zip and 7z use them.
// A dictionary is as large as its header says, so the header is read here first: with a known
// length no more than that is ever needed, otherwise k_codec_memory is the limit.
#include "scanner/codecs/codecs.hpp"

#include "scanner/core/reader.hpp"

#include <lzma.h>

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

// What all of them do with liblzma's stream.
class LzmaDecoder : public StreamDecoder {
public:
  using StreamDecoder::StreamDecoder;
  ~LzmaDecoder() override { lzma_end(&stream_); }
  LzmaDecoder(const LzmaDecoder&) = delete;
  LzmaDecoder& operator=(const LzmaDecoder&) = delete;

protected:
  lzma_stream& stream() { return stream_; }

  static Begin begun(lzma_ret code) {
    switch (code) {
    case LZMA_OK:
      return Begin::frame;
    case LZMA_MEM_ERROR:
    case LZMA_MEMLIMIT_ERROR:
      return Begin::budget;
    case LZMA_OPTIONS_ERROR:
      return Begin::unsupported;
    default:
      return Begin::malformed;
    }
  }

  Step step(Bytes in, std::span<std::uint8_t> out) override {
    stream_.next_in = in.data();
    stream_.avail_in = in.size();
    stream_.next_out = out.data();
    stream_.avail_out = out.size();
    const lzma_ret code = lzma_code(&stream_, in.empty() ? LZMA_FINISH : LZMA_RUN);
    Step did{.used = in.size() - stream_.avail_in, .made = out.size() - stream_.avail_out};
    switch (code) {
    case LZMA_OK:
    case LZMA_NO_CHECK:
    case LZMA_GET_CHECK:
    case LZMA_UNSUPPORTED_CHECK:
    case LZMA_BUF_ERROR:
      break; // no progress: the caller sees it
    case LZMA_STREAM_END:
      did.progress = Progress::frame_end;
      break;
    case LZMA_MEM_ERROR:
    case LZMA_MEMLIMIT_ERROR:
      did.progress = Progress::budget;
      break;
    case LZMA_OPTIONS_ERROR:
      did.progress = Progress::unsupported;
      break;
    default:
      did.progress = Progress::malformed;
      break;
    }
    return did;
  }

private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

constexpr std::string_view k_xz_magic{"\xfd\x37zXZ\0", 6};

class XzDecoder final : public LzmaDecoder {
public:
  using LzmaDecoder::LzmaDecoder;

protected:
  Begin begin_frame() override {
    // Stream padding (xz file format 2.2): zeros, a multiple of four.
    while (frames() > 0) {
      const Bytes four = input().peek(4);
      if (four.size() < 4 || std::any_of(four.begin(), four.end(), [](auto c) { return c != 0; }))
        break;
      input().consume(4);
    }
    if (!starts_with(input().peek(k_xz_magic.size()), k_xz_magic)) return Begin::none;
    return begun(lzma_stream_decoder(&stream(), k_codec_memory, 0));
  }
};

std::optional<std::uint32_t> dictionary_size(const RawFilter& filter) {
  Reader reader(filter.properties);
  if (filter.kind == RawFilter::Kind::lzma1) {
    reader.skip(1);
    return reader.le<std::uint32_t>();
  }
  const auto bits = reader.le<std::uint8_t>();
  if (!bits || *bits > 40) return std::nullopt;
  if (*bits == 40) return UINT32_MAX;
  return static_cast<std::uint32_t>((2u | (*bits & 1u)) << (*bits / 2u + 11u));
}

class RawLzmaDecoder : public LzmaDecoder {
public:
  RawLzmaDecoder(Source& source, std::uint64_t begin, std::uint64_t end,
                 std::vector<RawFilter> chain, std::optional<std::uint64_t> size)
      : LzmaDecoder(source, begin, end), chain_(std::move(chain)), size_(size) {}

protected:
  bool single_frame() const override { return true; }
  Begin begin_frame() override { return open(); }

  Begin open() {
    std::array<lzma_filter, LZMA_FILTERS_MAX + 1> filters{};
    std::array<lzma_options_lzma, LZMA_FILTERS_MAX> lzma{};
    std::array<lzma_options_delta, LZMA_FILTERS_MAX> delta{};
    if (chain_.empty() || chain_.size() > LZMA_FILTERS_MAX) return Begin::unsupported;
    clamped_ = false;
    made_ = 0;
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      const RawFilter& filter = chain_[i];
      const auto& properties = filter.properties;
      switch (filter.kind) {
      case RawFilter::Kind::lzma1:
      case RawFilter::Kind::lzma2: {
        const auto wanted = dictionary_size(filter);
        if (!wanted) return Begin::malformed;
        if (filter.kind == RawFilter::Kind::lzma1) {
          if (properties[0] >= 9 * 5 * 5) return Begin::malformed;
          lzma[i].lc = properties[0] % 9u;
          lzma[i].lp = properties[0] / 9u % 5u;
          lzma[i].pb = properties[0] / 45u;
          if (lzma[i].lc + lzma[i].lp > LZMA_LCLP_MAX) return Begin::unsupported;
          const std::uint64_t length = size_.value_or(UINT64_MAX);
          lzma[i].ext_flags = LZMA_LZMA1EXT_ALLOW_EOPM;
          lzma[i].ext_size_low = static_cast<std::uint32_t>(length);
          lzma[i].ext_size_high = static_cast<std::uint32_t>(length >> 32);
        }
        lzma[i].dict_size = std::max<std::uint32_t>(clamp(*wanted), LZMA_DICT_SIZE_MIN);
        filters[i] = {filter.kind == RawFilter::Kind::lzma1 ? LZMA_FILTER_LZMA1EXT
                                                            : LZMA_FILTER_LZMA2,
                      &lzma[i]};
        break;
      }
      case RawFilter::Kind::delta:
        if (properties.empty()) return Begin::malformed;
        delta[i].type = LZMA_DELTA_TYPE_BYTE;
        delta[i].dist = properties[0] + 1u;
        filters[i] = {LZMA_FILTER_DELTA, &delta[i]};
        break;
      case RawFilter::Kind::x86:
        filters[i] = {LZMA_FILTER_X86, nullptr};
        break;
      case RawFilter::Kind::powerpc:
        filters[i] = {LZMA_FILTER_POWERPC, nullptr};
        break;
      case RawFilter::Kind::ia64:
        filters[i] = {LZMA_FILTER_IA64, nullptr};
        break;
      case RawFilter::Kind::arm:
        filters[i] = {LZMA_FILTER_ARM, nullptr};
        break;
      case RawFilter::Kind::armthumb:
        filters[i] = {LZMA_FILTER_ARMTHUMB, nullptr};
        break;
      case RawFilter::Kind::sparc:
        filters[i] = {LZMA_FILTER_SPARC, nullptr};
        break;
      case RawFilter::Kind::arm64:
        filters[i] = {LZMA_FILTER_ARM64, nullptr};
        break;
      }
    }
    filters[chain_.size()] = {LZMA_VLI_UNKNOWN, nullptr};
    return begun(lzma_raw_decoder(&stream(), filters.data()));
  }

  Step step(Bytes in, std::span<std::uint8_t> out) override {
    Step did = LzmaDecoder::step(in, out);
    made_ += did.made;
    // Beyond a dictionary that was made smaller than asked for, matches could be wrong.
    if (clamped_ && made_ > k_dictionary) did.progress = Progress::budget;
    return did;
  }

  void set_chain(std::vector<RawFilter> chain) { chain_ = std::move(chain); }
  void set_size(std::optional<std::uint64_t> size) { size_ = size; }

private:
  static constexpr std::uint64_t k_dictionary = std::uint64_t{128} << 20;

  std::uint32_t clamp(std::uint32_t wanted) {
    std::uint64_t size = wanted;
    if (size_) size = std::min(size, *size_);
    if (size > k_dictionary) {
      size = k_dictionary;
      clamped_ = true;
    }
    return static_cast<std::uint32_t>(size);
  }

  std::vector<RawFilter> chain_;
  std::optional<std::uint64_t> size_;
  bool clamped_ = false;
  std::uint64_t made_ = 0;
};

// .lzma: properties (5 bytes), decoded length (8, all ones = unknown), raw LZMA1.
class LzmaAloneDecoder final : public RawLzmaDecoder {
public:
  LzmaAloneDecoder(Source& source, std::uint64_t begin, std::uint64_t end)
      : RawLzmaDecoder(source, begin, end, {}, std::nullopt) {}

protected:
  Begin begin_frame() override {
    const Bytes head = input().peek(13);
    if (head.size() < 13) return head.empty() ? Begin::none : Begin::truncated;
    Reader reader(head);
    const Bytes properties = reader.take(5).value_or(Bytes{});
    const auto size = reader.le<std::uint64_t>();
    set_chain({{RawFilter::Kind::lzma1, {properties.begin(), properties.end()}}});
    set_size(size == UINT64_MAX ? std::nullopt : size);
    const Begin opened = open();
    if (opened == Begin::frame) input().consume(13);
    return opened;
  }
};

// zip method 14 (APPNOTE 5.8): version (2), length of the properties (2), properties, raw LZMA1.
class ZipLzmaDecoder final : public RawLzmaDecoder {
public:
  ZipLzmaDecoder(Source& source, std::uint64_t begin, std::uint64_t end,
                 std::optional<std::uint64_t> size)
      : RawLzmaDecoder(source, begin, end, {}, size) {}

protected:
  Begin begin_frame() override {
    const Bytes head = input().peek(9);
    if (head.size() < 9) return Begin::truncated;
    if (head[2] != 5 || head[3] != 0) return Begin::malformed;
    set_chain({{RawFilter::Kind::lzma1, {head.begin() + 4, head.end()}}});
    const Begin opened = open();
    if (opened == Begin::frame) input().consume(9);
    return opened;
  }
};

} // namespace

DecoderPtr decode_xz(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<XzDecoder>(source, begin, end);
}

DecoderPtr decode_lzma_alone(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<LzmaAloneDecoder>(source, begin, end);
}

DecoderPtr decode_raw_lzma(Source& source, std::uint64_t begin, std::uint64_t end,
                           std::vector<RawFilter> chain, std::optional<std::uint64_t> size) {
  return std::make_unique<RawLzmaDecoder>(source, begin, end, std::move(chain), size);
}

DecoderPtr decode_zip_lzma(Source& source, std::uint64_t begin, std::uint64_t end,
                           std::optional<std::uint64_t> size) {
  return std::make_unique<ZipLzmaDecoder>(source, begin, end, size);
}

} // namespace hubgate
