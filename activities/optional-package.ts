// Loads the packages that only some users need; the one place that explains a missing one.
import { messageOfThrown } from '../domain/rules/thrown.ts';
import { toErrorCode } from './error-facts.ts';

/** Thrown when an optional package is not installed; the message says what to run. */
export class PackageMissingError extends Error {
  readonly packageName: string;

  constructor(packageName: string, purpose: string) {
    super(
      `${purpose} needs the package ${packageName}, which is not installed. Run: npm install ${packageName}`,
    );
    this.name = 'PackageMissingError';
    this.packageName = packageName;
  }
}

const MISSING_CODES = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'];

/** The loaded package; a `PackageMissingError` that names it when it is absent. */
export async function loadOptionalPackage<Module>(
  packageName: string,
  purpose: string,
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    const isMissing = MISSING_CODES.includes(toErrorCode(error));
    const isAbsent = isMissing && messageOfThrown(error).includes(packageName);
    throw isAbsent ? new PackageMissingError(packageName, purpose) : error;
  }
}
