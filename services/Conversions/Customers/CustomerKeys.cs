using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using PartnerPulse.Hosting;

namespace PartnerPulse.Conversions.Customers;

/// <summary>
/// Turns a customer's e-mail or account id into a key that only this deployment can make: HMAC-SHA256 over the program and the
/// trimmed, lower-case value. The value itself is neither kept nor logged. Nothing else is folded: that dots and what follows a plus
/// mean nothing is true of some mail providers only, and two people taken for one is worse than one taken for two. Nor is Unicode
/// normalised, for which the runtime has no tables here.
/// </summary>
internal sealed partial class CustomerKeys(byte[] secret)
{
    /// <summary>Length of the secret in bytes.</summary>
    public const int SecretLength = 32;

    // Names the way the key was made, so that another way can stand beside it.
    private const string Prefix = "c2.";

    // Keys of before were made of the name itself. They stay what they are, and lead to nobody but by an erasure.
    private const string FormerPrefix = "c1.";

    // What stands in the place of a key once the customer is erased.
    private const string ErasedPrefix = "e1.";

    /// <summary>The key of a customer, by the SHA-256 of its e-mail or account id without blanks around it, in lower case.</summary>
    public string Key(string program, string customer) => KeyOfHash(program, SHA256.HashData(Encoding.UTF8.GetBytes(Plain(customer))));

    /// <summary>
    /// The same for who has only that SHA-256, as partners exchange e-mails. The hash is never kept: without the secret nobody can try
    /// all e-mails there are.
    /// </summary>
    public string KeyOfHash(string program, ReadOnlySpan<byte> sha256) => Prefix + Sealed(program, Convert.ToHexStringLower(sha256));

    /// <summary>The key that the customer had in what was recorded before.</summary>
    public string FormerKey(string program, string customer) => FormerPrefix + Sealed(program, Plain(customer));

    /// <summary>Whether a key was made in the way of before, and cannot be compared with those of now.</summary>
    public static bool IsFormer(string? key) => key?.StartsWith(FormerPrefix, StringComparison.Ordinal) is true;

    private static string Plain(string customer) => customer.Trim().ToLowerInvariant();

    private string Sealed(string program, string name) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes($"{program}\u001F{name}")));

    /// <summary>Another key of this deployment, for another purpose; neither tells anything of the other.</summary>
    public byte[] Derive(string purpose, int length) => HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, length, info: Encoding.UTF8.GetBytes(purpose));

    /// <summary>A token that stands for an erased customer, from randomness alone.</summary>
    public static string NewToken() => ErasedPrefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    public static bool IsErased(string? key) => key?.StartsWith(ErasedPrefix, StringComparison.Ordinal) is true;

    /// <summary>Whether a text has the form of a key.</summary>
    public static bool IsKey(string text) => KeyPattern().IsMatch(text);

    [GeneratedRegex("^c[12]\\.[A-Za-z0-9_-]{43}$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex KeyPattern();

    /// <summary>Reads the secret, or makes it where there is none yet.</summary>
    /// <exception cref="InvalidDataException">The file holds something else.</exception>
    public static CustomerKeys Open(string file)
    {
        SecretFile.MakeIfMissing(file, () => RandomNumberGenerator.GetBytes(SecretLength));
        var secret = File.ReadAllBytes(file);
        return secret.Length == SecretLength
            ? new CustomerKeys(secret)
            : throw new InvalidDataException($"Conversions:CustomerKeyFile {file} holds {secret.Length} bytes instead of {SecretLength}.");
    }
}
