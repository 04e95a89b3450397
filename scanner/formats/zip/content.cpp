#include "scanner/codecs/codecs.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/formats/zip/reader.hpp"

#include <algorithm>

namespace hubgate::zip {

// Stored bytes of a streamed member, whose length stands behind them only. They end where a
// descriptor says exactly as many bytes as lie before it; the search goes along with the reading.
class MemberContent::Described final : public Source {
public:
  Described(Source& file, std::uint64_t begin) : file_(file), begin_(begin) {}

  std::optional<std::uint64_t> size() override { return length_; }
  bool random_access() override { return length_.has_value() && file_.random_access(); }
  Fault fault() const override { return file_.fault(); }

  Bytes view(std::uint64_t offset, std::size_t n) override {
    search(offset + n);
    if (length_ && offset >= *length_) return {};
    const std::uint64_t left = length_ ? *length_ - offset : n;
    return file_.view(begin_ + offset, static_cast<std::size_t>(std::min<std::uint64_t>(n, left)));
  }

  std::uint64_t wait_end() override {
    while (!length_)
      search(searched_ + 1);
    return *length_;
  }

  bool found() const { return found_; }

private:
  // Looks for the end until `upto` bytes are known to belong to the member.
  void search(std::uint64_t upto) {
    constexpr std::size_t k_step = std::size_t{256} << 10;
    while (!length_ && searched_ < upto) {
      // Candidates reach 24 bytes beyond the piece that is searched, and 20 bytes back.
      const std::uint64_t back = std::min<std::uint64_t>(searched_, 20);
      const auto whole = static_cast<std::size_t>(back) + k_step + 24;
      const Bytes piece = file_.view(begin_ + searched_ - back, whole);
      const std::string_view text = as_text(piece);
      const std::size_t end = std::min(piece.size(), static_cast<std::size_t>(back) + k_step);
      for (std::size_t at = text.find("PK", static_cast<std::size_t>(back)); at < end;
           at = text.find("PK", at + 1))
        if (ends_at(text, at, searched_ - back + at)) return;
      if (piece.size() < whole) {
        length_ = searched_ - back + piece.size();
        return;
      }
      searched_ += k_step;
    }
  }

  // Whether the member, of which `length` bytes were seen, ends near text[at].
  bool ends_at(std::string_view text, std::size_t at, std::uint64_t length) {
    if (text.substr(at).starts_with(k_descriptor_magic)) {
      for (const bool wide: {false, true}) {
        Reader reader(as_bytes(text.substr(at)));
        reader.skip(8);
        const auto stored = wide ? reader.le<std::uint64_t>()
                                 : std::optional<std::uint64_t>(reader.le<std::uint32_t>());
        const auto plain = wide ? reader.le<std::uint64_t>()
                                : std::optional<std::uint64_t>(reader.le<std::uint32_t>());
        if (stored == length && plain == length) return set_end(length);
      }
      return false;
    }
    // Without signature: the next header stands 12 or 20 bytes behind the data.
    if (!text.substr(at).starts_with(k_local_magic) &&
        !text.substr(at).starts_with(k_central_magic))
      return false;
    for (const std::size_t size: {std::size_t{12}, std::size_t{20}}) {
      if (at < size || length < size) continue;
      Reader reader(as_bytes(text.substr(at - size, size)));
      reader.skip(4);
      const auto stored = size == 20 ? reader.le<std::uint64_t>()
                                     : std::optional<std::uint64_t>(reader.le<std::uint32_t>());
      if (stored == length - size) return set_end(length - size);
    }
    return false;
  }

  bool set_end(std::uint64_t at) {
    length_ = at;
    found_ = true;
    return true;
  }

  Source& file_;
  std::uint64_t begin_;
  std::uint64_t searched_ = 0;
  std::optional<std::uint64_t> length_;
  bool found_ = false;
};

struct MemberContent::Parts {
  std::uint64_t begin;
  std::unique_ptr<SubSource> plain;
  std::unique_ptr<Described> described;
  StreamDecoder* decoder = nullptr;
  std::unique_ptr<DecodedSource> decoded;
};

namespace {

DecoderPtr decoder_of(std::uint16_t method, Source& file, std::uint64_t begin, std::uint64_t end,
                      std::optional<std::uint64_t> size) {
  switch (method) {
  case k_deflate:
    return decode_deflate(file, begin, end);
  case k_bzip2:
    return decode_bzip2(file, begin, end);
  case k_lzma:
    return decode_zip_lzma(file, begin, end, size);
  case k_zstd_old:
  case k_zstd:
    return decode_zstd(file, begin, end);
  case k_xz:
    return decode_xz(file, begin, end);
  default:
    return nullptr;
  }
}

} // namespace

bool is_supported(std::uint16_t method) {
  switch (method) {
  case k_stored:
  case k_deflate:
  case k_bzip2:
  case k_lzma:
  case k_zstd_old:
  case k_zstd:
  case k_xz:
    return true;
  default:
    return false;
  }
}

MemberContent::MemberContent(Source& file, std::uint64_t begin,
                             std::optional<std::uint64_t> compressed, std::uint16_t method,
                             std::optional<std::uint64_t> size, Budget& budget)
    : parts_(std::make_unique<Parts>()) {
  parts_->begin = begin;
  const std::uint64_t end =
      compressed && *compressed < k_to_the_end - begin ? begin + *compressed : k_to_the_end;
  if (DecoderPtr decoder = decoder_of(method, file, begin, end, size)) {
    parts_->decoder = decoder.get();
    parts_->decoded = std::make_unique<DecodedSource>(std::move(decoder), budget);
    watch(*parts_->decoded);
  } else if (compressed) {
    parts_->plain = std::make_unique<SubSource>(file, begin, end - begin);
    watch(*parts_->plain);
  } else {
    parts_->described = std::make_unique<Described>(file, begin);
    watch(*parts_->described);
  }
}

MemberContent::~MemberContent() = default;

std::uint64_t MemberContent::stored_end() const {
  if (parts_->decoder != nullptr) return parts_->decoder->position();
  return parts_->begin + length();
}

bool MemberContent::is_unbounded() const {
  return parts_->described != nullptr && !parts_->described->found();
}

} // namespace hubgate::zip
