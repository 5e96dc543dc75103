/** The two largest units: `2 h 5 min`. */
export function ageText(ageMs: number): string {
  const minutes = Math.max(0, Math.floor(ageMs / 60_000));
  const hours = Math.floor(minutes / 60);
  if (minutes === 0) return `${Math.max(0, Math.floor(ageMs / 1000))} s`;
  if (hours === 0) return `${minutes} min`;
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
