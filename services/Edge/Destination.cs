using PartnerPulse.Hosting;

namespace PartnerPulse.Edge;

/// <summary>Where a link leads, cut where a redirect inserts something: before the fragment, and at the query.</summary>
internal sealed class Destination
{
    /// <summary>The parameter that carries the click id to the landing page.</summary>
    public const string ClickParameter = "pp_click";

    private readonly string _beforeFragment;
    private readonly string _fragment;
    private readonly int _query;

    private Destination(string address)
    {
        var fragment = address.IndexOf('#', StringComparison.Ordinal);
        _beforeFragment = fragment < 0 ? address : address[..fragment];
        _fragment = fragment < 0 ? "" : address[fragment..];
        _query = _beforeFragment.IndexOf('?', StringComparison.Ordinal);
    }

    /// <summary>The address as it was published, in the form that a header may carry.</summary>
    public string Address => _beforeFragment + _fragment;

    /// <summary>Null for anything that is not an absolute http or https address.</summary>
    public static Destination? Parse(string address)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri)
            || (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps)
            || uri.AsciiHost() is not { } host)
        {
            return null;
        }

        // A header holds visible ASCII. Such an address is kept byte for byte; any other is written as its URI.
        return new Destination(IsVisibleAscii(address) ? address : new UriBuilder(uri) { Host = host }.Uri.AbsoluteUri);
    }

    /// <summary>The destination whose <see cref="Address"/> this is: it was parsed when it was published.</summary>
    public static Destination OfKnown(string address) => new(address);

    /// <summary>
    /// The address for one click. The visitor's parameters follow the merchant's, in their order and byte for byte; a name that
    /// the merchant set stays the merchant's. An earlier click's id and <see cref="DeepLink.Parameter"/>, which is for us, are left
    /// out. A fragment stays last.
    /// </summary>
    /// <param name="query">Query of the request without the question mark.</param>
    /// <param name="clickId">Added as <c>pp_click</c>.</param>
    public string For(ReadOnlySpan<char> query, ReadOnlySpan<char> clickId)
    {
        var own = _query < 0 ? default : _beforeFragment.AsSpan(_query + 1);
        Span<char> stack = stackalloc char[512];
        var merged = new ValueText(stack);
        merged.Append(_beforeFragment);
        var separator = _query < 0 ? '?' : own.IsEmpty || own[^1] == '&' ? '\0' : '&';
        foreach (var range in query.IsEmpty ? default : query.Split('&'))
        {
            var parameter = query[range];
            var name = NameOf(parameter);
            if (QueryText.SameName(name, ClickParameter) || QueryText.SameName(name, DeepLink.Parameter) || (!own.IsEmpty && Holds(own, name)))
            {
                continue;
            }

            merged.AppendSeparated(ref separator, parameter);
        }

        if (own.IsEmpty || !Holds(own, ClickParameter))
        {
            merged.AppendSeparated(ref separator, ClickParameter);
            merged.Append("=");
            merged.Append(clickId);
        }

        merged.Append(_fragment);
        return merged.ToStringAndDispose();
    }

    private static bool Holds(ReadOnlySpan<char> query, ReadOnlySpan<char> name)
    {
        foreach (var range in query.Split('&'))
        {
            var other = NameOf(query[range]);
            if (!other.IsEmpty && QueryText.SameName(other, name))
            {
                return true;
            }
        }

        return false;
    }

    private static ReadOnlySpan<char> NameOf(ReadOnlySpan<char> parameter)
    {
        var equals = parameter.IndexOf('=');
        return equals < 0 ? parameter : parameter[..equals];
    }

    private static bool IsVisibleAscii(string text)
    {
        foreach (var c in text)
        {
            if (c is <= ' ' or > '~')
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Text under construction, on the stack while it is short.</summary>
    private ref struct ValueText(Span<char> initial)
    {
        private Span<char> _chars = initial;
        private char[]? _rented;
        private int _length;

        public void AppendSeparated(ref char separator, ReadOnlySpan<char> parameter)
        {
            if (separator != '\0')
            {
                Append([separator]);
            }

            separator = '&';

            // A number sign inside a query would begin the fragment; no browser sends one.
            for (var hash = parameter.IndexOf('#'); hash >= 0; hash = parameter.IndexOf('#'))
            {
                Append(parameter[..hash]);
                Append("%23");
                parameter = parameter[(hash + 1)..];
            }

            Append(parameter);
        }

        public void Append(scoped ReadOnlySpan<char> text)
        {
            if (_length + text.Length > _chars.Length)
            {
                var larger = System.Buffers.ArrayPool<char>.Shared.Rent(Math.Max(_chars.Length * 2, _length + text.Length));
                _chars[.._length].CopyTo(larger);
                Return();
                _chars = _rented = larger;
            }

            text.CopyTo(_chars[_length..]);
            _length += text.Length;
        }

        public string ToStringAndDispose()
        {
            var text = _chars[.._length].ToString();
            Return();
            return text;
        }

        private readonly void Return()
        {
            if (_rented is not null)
            {
                System.Buffers.ArrayPool<char>.Shared.Return(_rented);
            }
        }
    }
}
