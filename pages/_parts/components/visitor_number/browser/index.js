// Sets a cookie of this site once; nothing else is done with it here.

export default function ({ data: { name, number } }) {
  if (document.cookie.split("; ").some((each) => each.startsWith(`${name}=`))) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${number}; Max-Age=31536000; Path=/; SameSite=Strict${secure}`;
}
